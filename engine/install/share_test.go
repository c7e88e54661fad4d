package install

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/engine/program"
	"berth/internal/podmanconf"
)

// TestEnginesShareFiles: the engines of one host share files; in any order of uninstalling,
// the last one restores the originals.
func TestEnginesShareFiles(t *testing.T) {
	all := []string{"containerd", "docker", "podman", "nerdctl", "cdi"}
	for _, order := range [][]string{all, {"cdi", "nerdctl", "podman", "docker", "containerd"}, {"docker", "cdi", "podman", "containerd", "nerdctl"}} {
		t.Run(strings.Join(order, " "), func(t *testing.T) {
			h := newHost(t, "containerd=1.6.36 dockerd=28.2.2 podman=5.4.0 nerdctl=2.1.0 runc", files{
				"/etc/containerd/config.toml": "containerd-1.6-kubeadm.toml", "/etc/docker/daemon.json": "docker-gpu.json",
				"/etc/berth/berth.toml": "berth-comments.toml", "/etc/berth/networks.d/lan.toml": "lan.toml",
			})
			before := h.fileTree()
			for _, engine := range all {
				h.install(h.options(engine, Options{}))
			}
			full := h.fileTree()
			for _, engine := range slices.Backward(all) {
				if p := h.install(h.options(engine, Options{})); len(p.Changed()) > 0 {
					t.Errorf("%s, once more:\n%s", engine, h.showPlan(p))
				}
			}
			for i, engine := range order {
				if i == 1 && cmp.Diff(full["/etc/berth/berth.toml"], h.fileTree()["/etc/berth/berth.toml"]) != "" {
					t.Error("the first that goes takes what the others need")
				}
				h.uninstall(h.options(engine, Options{}))
			}
			if d := cmp.Diff(before, h.fileTree()); d != "" {
				t.Errorf("uninstalled (-before +after):\n%s", d)
			}
		})
	}
}

// TestUninstallAmongOthersChanges requires that changes made after the installation stay,
// and berth's are removed.
func TestUninstallAmongOthersChanges(t *testing.T) {
	h := newHost(t, "containerd=1.6.36 runc", files{"/etc/containerd/config.toml": "containerd-1.6-kubeadm.toml"})
	o := h.options("containerd", Options{Flags: Flags{Default: true}})
	before := h.fileTree()["/etc/containerd/config.toml"]
	h.install(o)
	path := h.root + "/etc/containerd/config.toml"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edit := strings.NewReplacer("pause:3.9", "pause:3.10", "startup_delay", "# sooner\n    startup_delay")
	h.write("/etc/containerd/config.toml", edit.Replace(string(text)), 0o640)
	h.uninstall(o)
	if d := cmp.Diff(edit.Replace(before), h.fileTree()["/etc/containerd/config.toml"]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

// TestUninstallLeavesAnothersDefault requires that a default changed since then stays.
func TestUninstallLeavesAnothersDefault(t *testing.T) {
	h := newHost(t, "dockerd=28.2.2 runc", files{"/etc/docker/daemon.json": "docker-gpu.json"})
	o := h.options("docker", Options{Flags: Flags{Default: true}})
	h.install(o)
	path := h.root + "/etc/docker/daemon.json"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h.write("/etc/docker/daemon.json", strings.Replace(string(text), `"default-runtime": "berth"`, `"default-runtime": "kata"`, 1), 0o640)
	p := h.uninstall(o)
	after := h.fileTree()["/etc/docker/daemon.json"]
	if !strings.Contains(after, `"default-runtime": "kata"`) || strings.Contains(after, "berth") {
		t.Errorf("daemon.json is\n%s", after)
	}
	if !strings.Contains(strings.Join(p.Notes, "\n"), "default-runtime") {
		t.Errorf("notes %q do not tell", p.Notes)
	}
}

// TestAPackagesFilesStay requires that an uninstallation leaves files as they are that had berth's content
// before the installation: a package has them, and may have upgraded them since.
func TestAPackagesFilesStay(t *testing.T) {
	h := newHost(t, "podman=5.4.0 crun", nil)
	o := h.options("podman", Options{})
	h.install(o)
	const path = podmanconf.UsrHooksDir + "/berth.json"
	text, err := os.ReadFile(h.root + path)
	if err != nil {
		t.Fatal(err)
	}
	h.uninstall(o)
	h.write(path, string(text), 0o644)
	if err := os.Symlink("berth-runtime", h.root+lateLink); err != nil {
		t.Fatal(err)
	}
	h.install(o)
	h.write(path, string(text)+"\n", 0o644) // an upgrade
	before := h.fileTree()[path]
	h.uninstall(o)
	if after := h.fileTree(); after[path] != before || after[lateLink] == "" {
		t.Errorf("%s is %q, was %q; the link is %q", path, after[path], before, after[lateLink])
	}
}

func TestAnotherWayOfInstallingTakesTheFirstBack(t *testing.T) {
	h := newHost(t, "podman=5.4.0 runc", nil)
	h.install(h.options("podman", Options{}))
	if _, ok := h.fileTree()[podmanconf.UsrHooksDir+"/berth.json"]; !ok {
		t.Fatal("no file of hooks.d")
	}
	h.install(h.options("podman", Options{Flags: Flags{Default: true}}))
	if _, ok := h.fileTree()[podmanconf.UsrHooksDir+"/berth.json"]; ok {
		t.Error("the file of hooks.d is left, though every container has the runtime")
	}
}

func TestRefreshDevices(t *testing.T) {
	h := newHost(t, "", files{"/etc/berth/networks.d/lan.toml": "lan.toml"})
	o := h.options("cdi", Options{})
	dirs := o.Dirs
	dirs.Config = o.configHome()
	if err := RefreshDevices(dirs, o.Bin); err != nil {
		t.Fatal(err)
	}
	if _, ok := h.fileTree()["/etc/cdi/berth.json"]; ok {
		t.Error("devices are written that nobody has asked for")
	}
	h.install(o)
	h.write("/etc/berth/networks.d/dmz.toml", "parent = \"eth1\"\n", 0o644)
	for range 2 {
		if err := RefreshDevices(dirs, o.Bin); err != nil {
			t.Fatal(err)
		}
	}
	if text := h.fileTree()["/etc/cdi/berth.json"]; !strings.Contains(text, `"name": "dmz"`) || !strings.Contains(text, `"name": "lan"`) {
		t.Errorf("devices are %s", text)
	}
	for _, name := range []string{"lan", "dmz"} {
		if err := os.Remove(filepath.Join(dirs.Config, "networks.d", name+".toml")); err != nil {
			t.Fatal(err)
		}
	}
	if err := RefreshDevices(dirs, o.Bin); err != nil {
		t.Fatal(err)
	}
	if text, ok := h.fileTree()["/etc/cdi/berth.json"]; ok {
		t.Errorf("a file without networks: %s", text)
	}
	h.uninstall(o)
}

// TestRefreshNetworks requires that networks that are made and removed after the installation
// become and cease to be nerdctl's, and that uninstalling leaves none.
func TestRefreshNetworks(t *testing.T) {
	h := newHost(t, "nerdctl=2.1.0", nil)
	o := h.options("nerdctl", Options{})
	dirs := o.Dirs
	dirs.Config = o.configHome()
	before := h.fileTree()
	h.install(o)
	const lan, dmz = "/etc/cni/net.d/zz-berth-lan.conflist", "/etc/cni/net.d/zz-berth-dmz.conflist"
	for _, name := range []string{"lan", "dmz"} {
		h.write("/etc/berth/networks.d/"+name+".toml", "parent = \"eth1\"\n", 0o644)
		if err := RefreshDevices(dirs, o.Bin); err != nil {
			t.Fatal(err)
		}
	}
	if tree := h.fileTree(); !strings.Contains(tree[lan], `"network": "lan"`) || !strings.Contains(tree[dmz], `"network": "dmz"`) {
		t.Errorf("%s\n%s", tree[lan], tree[dmz])
	}
	if err := os.Remove(filepath.Join(dirs.Config, "networks.d/lan.toml")); err != nil {
		t.Fatal(err)
	}
	if err := RefreshDevices(dirs, o.Bin); err != nil {
		t.Fatal(err)
	}
	if text, ok := h.fileTree()[lan]; ok {
		t.Errorf("of a removed network: %s", text)
	}
	for _, f := range h.install(o).Changed() { // the devices name this test's directories
		if filepath.Base(f.Path) != "berth.json" {
			t.Errorf("a second installation:\n%s", f.Diff())
		}
	}
	h.uninstall(o)
	if err := os.Remove(filepath.Join(dirs.Config, "networks.d/dmz.toml")); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

// TestMovesToTheClient requires that an installation without the client is one of berth-hook, that it
// is still complete when the client has come, and that repeating it names the client, also in a file
// that two engines share. Uninstalling restores every file.
func TestMovesToTheClient(t *testing.T) {
	all := []string{Podman, CRIO, Nerdctl, CDI}
	h := newHost(t, "podman=5.4.0 crio=1.31.0 nerdctl=2.1.0 runc", files{"/etc/berth/networks.d/lan.toml": "lan.toml"})
	client := filepath.Join(h.root, "usr/bin", program.Client)
	if err := os.Remove(client); err != nil {
		t.Fatal(err)
	}
	before := h.fileTree()
	for _, engine := range all {
		h.install(h.options(engine, Options{}))
	}
	h.wantHooks(`/usr/bin/berth-hook"`, `/usr/bin/berth-hook-client"`)
	h.write("/usr/bin/"+program.Client, "", 0o755)
	for _, engine := range all {
		p, err := Repeat(h.options(engine, Options{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range p.Changed() {
			if !f.MovesToClient() {
				t.Errorf("%s: more than the program changes:\n%s", engine, f.Diff())
			}
		}
		h.install(h.options(engine, Options{}))
	}
	h.wantHooks(`/usr/bin/berth-hook-client"`, `/usr/bin/berth-hook"`)
	for _, engine := range all {
		h.uninstall(h.options(engine, Options{}))
	}
	if err := os.Remove(client); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

// wantHooks checks that each file with a hook names one program, and not another.
func (h *host) wantHooks(program, never string) {
	h.Helper()
	tree := h.fileTree()
	for _, path := range []string{podmanconf.UsrHooksDir + "/berth.json", podmanconf.EtcHooksDir + "/berth.json", "/etc/cdi/berth.json"} {
		if text := tree[path]; !strings.Contains(text, program) || strings.Contains(text, never) {
			h.Errorf("%s names another program than %s: %s", path, program, text)
		}
	}
}

// TestRepeat requires that an installation can be repeated with the same flags, and shows
// changes made since.
func TestRepeat(t *testing.T) {
	h := newHost(t, "dockerd=28.2.2 runc", files{"/etc/docker/daemon.json": "docker-oneline.json"})
	if _, err := Repeat(h.options("docker", Options{})); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("error %v, want ErrNotInstalled", err)
	}
	h.install(h.options("docker", Options{Flags: Flags{Default: true, File: "/etc/docker/daemon.json"}}))
	p, err := Repeat(h.options("docker", Options{}))
	if err != nil || len(p.Changed()) > 0 {
		t.Fatalf("%v:\n%s", err, h.showPlan(p))
	}
	if got, want := p.Command(), "berth install --engine docker --engine-config "+h.root+"/etc/docker/daemon.json --default"; got != want {
		t.Errorf("command %q, want %q", got, want)
	}
	h.write("/etc/docker/daemon.json", "{}\n", 0o644)
	p, err = Repeat(h.options("docker", Options{}))
	if err != nil || len(p.Changed()) != 1 {
		t.Fatalf("%v:\n%s", err, h.showPlan(p))
	}
}
