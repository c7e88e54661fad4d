package install

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUninstallWhileARuntimeIsUsed requires that a runtime is not removed while a container runs by it,
// and that containers with other runtimes do not matter.
func TestUninstallWhileARuntimeIsUsed(t *testing.T) {
	conmon := func(h *host, pid, runtime string, name ...string) {
		args := append([]string{"/usr/bin/conmon", "-c", "0123", "-r", runtime}, name...)
		h.write("/proc/"+pid+"/cmdline", strings.Join(args, "\x00")+"\x00", 0o444)
	}
	shim := func(h *host, namespace, id, runtime string) {
		h.write("/run/containerd/io.containerd.runtime.v2.task/"+namespace+"/"+id+"/runtime", runtime, 0o644)
	}
	for engine, c := range map[string]struct {
		programs, want, gone string
		other, use           func(*host)
	}{
		Podman: {"podman=5.4.0 crun", "web", "/proc/12/cmdline",
			func(h *host) { conmon(h, "11", "/usr/bin/crun", "-n", "db") }, func(h *host) { conmon(h, "12", h.root+lateLink, "-n", "web") }},
		CRIO: {"crio=1.31.0 crun runc", "0123", "/proc/12/cmdline",
			func(h *host) { conmon(h, "11", "/usr/bin/crun") }, func(h *host) { conmon(h, "12", h.root+"/etc/berth/runtimes/berth-runtime-crio") }},
		Containerd: {"containerd=2.1.0 runc", "pod1", "/run/containerd/io.containerd.runtime.v2.task/k8s.io/pod1/runtime",
			func(h *host) { shim(h, "default", "byctr", h.root+"/usr/bin/berth-runtime") }, func(h *host) { shim(h, "k8s.io", "pod1", h.root+"/usr/bin/berth-runtime") }},
	} {
		t.Run(engine, func(t *testing.T) {
			h := newHost(t, c.programs, nil)
			before := h.fileTree()
			o := h.options(engine, Options{})
			h.install(o)
			c.other(h)
			c.use(h)
			installed := h.fileTree()
			if _, err := Uninstall(o); err == nil || !strings.Contains(err.Error(), "containers run by berth's runtime: "+c.want+"; without it") {
				t.Errorf("error %v, want one that names %s", err, c.want)
			}
			if d := cmp.Diff(installed, h.fileTree()); d != "" {
				t.Errorf("changed:\n%s", d)
			}
			if err := os.Remove(h.root + c.gone); err != nil {
				t.Fatal(err)
			}
			h.uninstall(o)
			for path := range h.fileTree() {
				if _, was := before[path]; !was && !strings.HasPrefix(path, "/proc") && !strings.HasPrefix(path, "/run") {
					t.Errorf("left: %s", path)
				}
			}
		})
	}
}

// TestUninstallReadsTheFileOfTheInstallation requires that an uninstallation, which has no flags, reads the
// file that --engine-config named.
func TestUninstallReadsTheFileOfTheInstallation(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	h.write("/srv/docker.json", `{"data-root": "/srv/docker"}`, 0o644)
	h.install(h.options(Docker, Options{Flags: Flags{File: "/srv/docker.json"}}))
	h.write("/srv/docker/containers/aaa/hostconfig.json", `{"Runtime": "berth"}`, 0o600)
	if text := h.showPlan(h.uninstall(h.options(Docker, Options{}))); !strings.Contains(text, "cannot start after a restart of docker: aaa;") {
		t.Errorf("does not name the container:\n%s", text)
	}
}

// TestAnotherInstallationKeepsTheProgram requires that an installation from another directory, or around
// another runtime, leaves the earlier program in place, and that the uninstallation removes both.
func TestAnotherInstallationKeepsTheProgram(t *testing.T) {
	for _, engine := range []string{Docker, Podman} {
		h := newHost(t, "dockerd=28.0.0 podman=5.4.0 crun", nil)
		for _, name := range []string{"berth-hook", "berth-hook-client", "berth-runtime", "berth-netavark"} {
			h.write("/usr/local/bin/"+name, "", 0o755)
		}
		before := h.fileTree()
		o := h.options(engine, Options{})
		local := o
		local.Bin = h.root + "/usr/local/bin"
		h.install(local)
		h.install(o)
		h.install(o)
		tree := h.fileTree()
		for _, path := range []string{lateLink, "/usr/local/bin/berth-runtime-late"} {
			if _, there := tree[path]; !there {
				t.Errorf("%s: no %s", engine, path)
			}
		}
		h.uninstall(o)
		if d := cmp.Diff(before, h.fileTree()); d != "" {
			t.Errorf("%s: uninstalled (-before +after):\n%s", engine, d)
		}
	}
}

// TestUninstallLeavesNoDirectories requires that the directories that installations created are gone
// after the last one that used them, in any order, and that one with a file of others stays.
func TestUninstallLeavesNoDirectories(t *testing.T) {
	all := []string{Podman, CRIO, Nerdctl, CDI, Docker, Containerd}
	for start := range all {
		h := newHost(t, "podman=5.4.0 crio=1.31.0 nerdctl=2.1.0 dockerd=28.0.0 containerd=2.2.0 runc crun", files{"/etc/berth/networks.d/lan.toml": "lan.toml"})
		h.write("/etc/containers/containers.conf", "[engine]\nruntime = 'crun'\n", 0o644)
		h.write(daemonJSON, `{"default-runtime": "crun", "runtimes": {"crun": {"path": "/usr/bin/crun"}}}`, 0o644)
		before := h.directories()
		for _, engine := range all {
			h.install(h.options(engine, Options{}))
			h.install(h.options(engine, Options{})) // a second time finds the directories
		}
		for i := range all {
			h.uninstall(h.options(all[(start+i)%len(all)], Options{}))
		}
		if d := cmp.Diff(before, h.directories()); d != "" {
			t.Errorf("uninstalled from %s on (-before +after):\n%s", all[start], d)
		}
	}
	h := newHost(t, "podman=5.4.0 crun", nil)
	o := h.options(Podman, Options{})
	h.install(o)
	h.write("/etc/containers/containers.conf.d/10-mine.conf", "", 0o644)
	h.uninstall(o)
	if _, err := os.Stat(h.root + "/etc/containers/containers.conf.d/10-mine.conf"); err != nil {
		t.Error(err)
	}
}

// TestDirectoriesAreForAll requires that other users can read the directories that an installation
// creates, also with a strict umask: the podman of a user fails if it cannot read containers.conf.d.
func TestDirectoriesAreForAll(t *testing.T) {
	h := newHost(t, "podman=5.4.0 nerdctl=2.1.0 crun", files{"/etc/berth/networks.d/lan.toml": "lan.toml"})
	before := h.directories()
	defer syscall.Umask(syscall.Umask(0o077))
	for _, engine := range []string{Podman, Nerdctl} {
		o := h.options(engine, Options{})
		if err := Locked(o.configHome(), func() error { h.install(o); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range append(h.directories(), "/etc/berth", "/etc/berth/installed", "/etc/berth/installed/podman") {
		info, err := os.Stat(h.root + dir)
		if err != nil || !slices.Contains(before, dir) && info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	for path, text := range h.fileTree() {
		if strings.HasPrefix(text, "-rw-------") {
			t.Errorf("%s: %s", path, text)
		}
	}
}

// directories returns all directories, except those that every installation keeps.
func (h *host) directories() (dirs []string) {
	h.Helper()
	err := filepath.WalkDir(h.root, func(path string, d os.DirEntry, err error) error {
		name := strings.TrimPrefix(path, h.root)
		if err == nil && d.IsDir() && name != "/etc/berth/installed" && name != "/etc/berth" {
			dirs = append(dirs, name)
		}
		return err
	})
	if err != nil {
		h.Fatal(err)
	}
	return dirs
}
