package install

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// dockerd writes a pid file of a live process, as if docker had started at a time.
func (h *host) dockerd(started time.Time) {
	h.Helper()
	h.write("/run/docker.pid", fmt.Sprint(os.Getpid()), 0o644)
	if err := os.Chtimes(filepath.Join(h.root, "/run/docker.pid"), started, started); err != nil {
		h.Fatal(err)
	}
}

const lateLink = "/usr/bin/berth-runtime-late"

// TestUninstallKeepsTheProgramUntilDockerIsRestarted requires the program to stay as long
// as a running dockerd keeps the runtime.
func TestUninstallKeepsTheProgramUntilDockerIsRestarted(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", files{"/etc/docker/daemon.json": "docker-gpu.json"})
	h.dockerd(time.Now().Add(-time.Hour))
	before := h.fileTree()
	o := h.options("docker", Options{Flags: Flags{Default: true}})
	h.install(o)
	link := h.fileTree()[lateLink]
	p := h.uninstall(o)
	if p.Restart != "systemctl restart docker" || !strings.Contains(h.showPlan(p), "systemctl reload docker is not enough") {
		t.Errorf("does not advise a restart:\n%s", h.showPlan(p))
	}
	after := h.fileTree()
	if after[lateLink] != link || after["/etc/docker/daemon.json"] != before["/etc/docker/daemon.json"] {
		t.Errorf("want daemon.json as it was, and %s kept (-before +after):\n%s", lateLink, cmp.Diff(before, after))
	}
	if left, err := Installed(o.configHome()); len(left) > 0 || err != nil {
		t.Errorf("installed: %q, %v", left, err)
	}
	if p := h.uninstall(o); len(p.Changed()) > 0 || !strings.Contains(h.showPlan(p), "systemctl restart docker") {
		t.Errorf("again, without a restart:\n%s", h.showPlan(p))
	}
	h.dockerd(time.Now().Add(time.Minute))
	if p := h.uninstall(o); p.Restart != "" {
		t.Errorf("after the restart, advises another: %s", p.Restart)
	}
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

// TestUninstallDisablesTheDriver requires that the socket of the driver is disabled at once, also
// while docker keeps the runtime.
func TestUninstallDisablesTheDriver(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", files{"/usr/lib/systemd/system/berth-docker.socket": "berth-docker.socket"})
	h.dockerd(time.Now().Add(-time.Hour))
	o := h.options("docker", Options{})
	const enabled = socketsWanted + "/" + dockerSocketUnit
	h.install(o)
	if _, there := h.fileTree()[enabled]; !there {
		t.Fatalf("no %s in %v", enabled, h.fileTree())
	}
	h.write(driverNetworks+"/"+strings.Repeat("a", 64)+".json", "{}", 0o600)
	p := h.uninstall(o)
	if !strings.Contains(h.showPlan(p), "docker has networks with the driver berth: 1; without the driver no container starts") {
		t.Errorf("does not show docker's networks:\n%s", h.showPlan(p))
	}
	if _, there := h.fileTree()[enabled]; there || !strings.Contains(h.showPlan(p), "systemctl stop berth-docker.socket") {
		t.Errorf("left %t:\n%s", there, h.showPlan(p))
	}
}

// TestUninstallWhileContainersUseTheRuntime: containers keep the runtime with which they were created.
func TestUninstallWhileContainersUseTheRuntime(t *testing.T) {
	for _, data := range []string{"/var/lib/docker", "/var/lib/docker/100000.100000", "/srv/docker"} {
		h := newHost(t, "dockerd=28.0.0 runc", nil)
		h.write("/etc/docker/daemon.json", `{"data-root": "`+strings.TrimSuffix(data, "/100000.100000")+`"}`, 0o644)
		o := h.options("docker", Options{})
		h.install(o)
		for id, runtime := range map[string]string{"aaa": "berth", "bbb": "runc", "ccc": "berth"} {
			h.write(data+"/containers/"+id+"/hostconfig.json", `{"Runtime": "`+runtime+`"}`, 0o600)
		}
		h.write(data+"/containers/aaa/config.v2.json", `{"Name": "/web"}`, 0o600)
		p := h.uninstall(o)
		if !strings.Contains(h.showPlan(p), `cannot start after a restart of docker: ccc, web; create them again`) {
			t.Errorf("%s: does not name the containers:\n%s", data, h.showPlan(p))
		}
		if _, ok := h.fileTree()[lateLink]; !ok {
			t.Errorf("%s: the program is gone", data)
		}
		for _, id := range []string{"aaa", "ccc"} {
			if err := os.RemoveAll(h.root + data + "/containers/" + id); err != nil {
				t.Fatal(err)
			}
		}
		h.uninstall(o)
		if _, ok := h.fileTree()[lateLink]; ok {
			t.Errorf("%s: the program stays without a user", data)
		}
	}
}

// TestInstallAfterARetirement requires that the next installation takes over the files that stayed.
func TestInstallAfterARetirement(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	before := h.fileTree()
	h.dockerd(time.Now().Add(-time.Hour))
	o := h.options("docker", Options{})
	h.install(o)
	installed := h.fileTree()
	h.uninstall(o)
	h.install(o)
	if d := cmp.Diff(installed, h.fileTree()); d != "" {
		t.Errorf("installed again (-first +again):\n%s", d)
	}
	if err := os.Remove(h.root + "/run/docker.pid"); err != nil {
		t.Fatal(err)
	}
	h.uninstall(o)
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

// TestTheDriverNeedsNoReload requires that an installation that only enables the driver advises no
// reload of docker, and that one that also writes daemon.json names the part that needs none.
func TestTheDriverNeedsNoReload(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	o := h.options("docker", Options{})
	if p := h.install(o); p.Advice() != "to apply it, run: systemctl reload docker" {
		t.Errorf("without the driver: %q", p.Advice())
	}
	h.write("/usr/lib/systemd/system/berth-docker.socket", "[Socket]\n", 0o644)
	if p := h.install(o); len(p.Changed()) != 1 || p.Advice() != "" {
		t.Errorf("the driver alone:\n%s", h.showPlan(p))
	}
	h.uninstall(o)
	if p := h.install(o); p.Advice() != "to apply it, run: systemctl reload docker; networks with the driver berth work without that" {
		t.Errorf("both: %q", p.Advice())
	}
}
