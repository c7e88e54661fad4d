package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	cdilib "tags.cncf.io/container-device-interface/pkg/cdi"

	"berth/test/lab"
)

// installedPodman is podman as a user has it: it reads the files in /etc and /usr,
// and no flag or environment variable names others.
type installedPodman struct {
	*site
	dir string
}

func newInstalledPodman(t *testing.T) *installedPodman {
	t.Helper()
	p := &installedPodman{site: newSite(t)}
	p.dir = filepath.Join(p.Dir, "podman")
	must(t, os.MkdirAll(p.dir, 0o755))
	must(t, p.Network("lan", lanNetwork))
	must(t, p.Network("dmz", strings.ReplaceAll(lanNetwork, "192.0.2.", "198.51.100.")))
	return p
}

func (p *installedPodman) podman(args ...string) (string, error) {
	return p.Host.Run("podman", append([]string{
		"--storage-driver", "vfs", "--root", p.dir + "/storage", "--runroot", p.dir + "/run", "--tmpdir", p.dir + "/tmp",
	}, args...)...)
}

// runContainer starts a container with further flags of podman run.
func (p *installedPodman) runContainer(t *testing.T, name string, flags ...string) {
	t.Helper()
	args := append([]string{"run", "--detach", "--name", p.id(name), "--network", "none"}, flags...)
	_, err := p.podman(append(args, "--rootfs", rootfs, "sleep", "600")...)
	must(t, err)
}

// endContainer removes a container, and checks that its attachment is released.
func (p *installedPodman) endContainer(t *testing.T, name string) {
	t.Helper()
	_, err := p.podman("rm", "--force", "--time", "0", p.id(name))
	must(t, err)
	if all := p.ps(t); len(all) != 0 {
		t.Errorf("%s ended, and berth ps shows %+v", name, all)
	}
}

// attachedInterfaces returns the networks and interfaces of all attachments.
func (s *site) attachedInterfaces(t *testing.T) string {
	t.Helper()
	var all []string
	for _, e := range s.ps(t) {
		all = append(all, e.Network+"@"+e.Interface)
	}
	return strings.Join(all, " ")
}

func (p *installedPodman) expectAttached(t *testing.T, want string) {
	t.Helper()
	if got := p.attachedInterfaces(t); got != want {
		t.Errorf("attached: %q, want %q", got, want)
	}
}

// systemFiles writes the files that podman needs into the lab's copies of system
// directories, and removes those that the machine has of berth.
func systemFiles(t *testing.T) {
	t.Helper()
	must(t, os.RemoveAll("/usr/share/containers/oci"))
	must(t, os.MkdirAll("/etc/containers", 0o755))
	storage := fmt.Sprintf("[storage]\ndriver = \"vfs\"\ngraphroot = %q\nrunroot = %q\n", t.TempDir(), t.TempDir())
	for name, text := range map[string]string{"containers.conf": lab.ContainersConf(), "storage.conf": storage} {
		path := filepath.Join("/etc/containers", name)
		must(t, os.WriteFile(path, []byte(text), 0o644))
		t.Cleanup(func() { must(t, os.Remove(path)) })
	}
}

// configured returns the paths and contents of the files that configure engines.
func configured(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, dir := range []string{"/etc/containers", "/usr/share/containers", "/etc/cdi", "/usr/local/libexec/netavark"} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if os.IsNotExist(err) || err == nil && d.IsDir() {
				return nil
			}
			text, err := os.ReadFile(path)
			all[path] = string(text)
			return err
		})
		must(t, err)
	}
	return all
}

// TestInstall checks that podman reads the files that berth install writes, and that
// berth uninstall removes them. It is one test, because it uses the files of the
// whole machine, of which the lab has copies.
func TestInstall(t *testing.T) {
	systemFiles(t)
	before := configured(t)
	p := newInstalledPodman(t)
	install := func(engine string, flags ...string) {
		_, err := p.Berth(append([]string{"install", "--engine", engine}, flags...)...)
		must(t, err)
	}
	uninstall := func(engine string) {
		_, err := p.Berth("uninstall", "--engine", engine)
		must(t, err)
	}
	const annotation = "--annotation=berth/networks=lan@lan0"

	p.runContainer(t, "untold", annotation)
	p.expectAttached(t, "")
	p.endContainer(t, "untold")
	results := map[string]string{"version": "pass", "configured": "warn", "annotations": "fail", "devices": "pass", "networks": "warn"}
	p.expectDoctor(t, "podman", results)
	results = map[string]string{"version": "pass", "configured": "pass", "annotations": "pass", "devices": "pass", "networks": "warn"}
	if lab.HasNetavark() {
		results["networks"] = "pass"
	}

	install("podman")
	p.runContainer(t, "hooked", annotation)
	p.expectAttached(t, "lan@lan0")
	p.endContainer(t, "hooked")
	p.expectDoctor(t, "podman", results)
	p.startWithRuntimes(t, annotation)
	p.startOnNetwork(t)

	install("podman", "--default")
	p.runContainer(t, "default", annotation)
	p.expectAttached(t, "lan@lan0")
	p.endContainer(t, "default")
	p.expectDoctor(t, "podman", results)

	install("cdi")
	p.startWithDevices(t, annotation)
	uninstall("podman")
	p.runContainer(t, "device", "--device=berth/network=lan")
	p.expectAttached(t, "lan@net1")
	p.endContainer(t, "device")
	uninstall("cdi")
	if d := cmp.Diff(before, configured(t)); d != "" {
		t.Errorf("after uninstalling (-before +after):\n%s", d)
	}
}

// startOnNetwork starts a container on a network of podman with the installed driver. podman
// of Debian 12 has no drivers of others.
func (p *installedPodman) startOnNetwork(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/usr/lib/podman/netavark"); err != nil {
		return
	}
	_, err := p.podman("network", "create", "--driver", "berth", "--opt", "network=lan", "lan")
	must(t, err)
	_, err = p.podman("run", "--detach", "--name", p.id("native"), "--network", "lan:interface_name=lan5", "--rootfs", rootfs, "sleep", "600")
	must(t, err)
	p.expectAttached(t, "lan@lan5")
	p.endContainer(t, "native")
	_, err = p.podman("network", "rm", "lan")
	must(t, err)
}

// startWithRuntimes starts containers with the installed runtime, with and without
// the file in hooks.d.
func (p *installedPodman) startWithRuntimes(t *testing.T, flags ...string) {
	t.Helper()
	for _, hooks := range []string{t.TempDir(), "/usr/share/containers/oci/hooks.d"} {
		args := append([]string{"--hooks-dir", hooks, "--runtime", "berth", "run", "--detach", "--name", p.id("named"), "--network", "none"}, flags...)
		_, err := p.podman(append(args, "--rootfs", rootfs, "sleep", "600")...)
		must(t, err)
		p.expectAttached(t, "lan@lan0")
		const used = "containers run by berth's runtime: "
		if _, err := p.Berth("uninstall", "--engine", "podman"); err == nil || !strings.Contains(err.Error(), used+p.id("named")) {
			t.Errorf("uninstalling while a container runs by the runtime: %v", err)
		}
		p.endContainer(t, "named")
	}
}

// startWithDevices starts containers with devices and annotations. They get the
// union of both, and a new network has a device at once.
func (p *installedPodman) startWithDevices(t *testing.T, annotation string) {
	t.Helper()
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"both":  {[]string{annotation, "--device=berth/network=lan"}, "lan@lan0"},
		"union": {[]string{annotation, "--device=berth/network=dmz"}, "lan@lan0 dmz@net1"},
		"two":   {[]string{"--device=berth/network=dmz", "--device=berth/network=lan"}, "dmz@net1 lan@net2"},
	} {
		p.runContainer(t, name, c.flags...)
		got := strings.Fields(p.attachedInterfaces(t))
		want := strings.Fields(c.want)
		if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		p.endContainer(t, name)
	}
	_, err := p.Berth("network", "create", "late", "--subnet", "203.0.113.0/24", "-o", "parent=eth1", "-o", "conflict_timeout=0")
	must(t, err)
	p.runContainer(t, "late", "--device=berth/network=late")
	p.expectAttached(t, "late@net1")
	p.endContainer(t, "late")
	_, err = p.Berth("network", "rm", "late")
	must(t, err)
	if out, err := p.podman("run", "--rm", "--network", "none", "--device=berth/network=late", "--rootfs", rootfs, "true"); err == nil {
		t.Errorf("a container got a device that is gone: %s", out)
	}
}

// TestDevicesByTheLibrary uses a device as containerd, nerdctl and docker do: CDI's
// library adds the hooks to config.json, and runc runs them.
func TestDevicesByTheLibrary(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	must(t, s.Network("lan", lanNetwork))
	before := s.snapshot(t)
	dir := filepath.Join(s.Dir, "cdi")
	_, err := s.Berth("cdi", "generate", "--cdi-dir", dir)
	must(t, err)
	cache, err := cdilib.NewCache(cdilib.WithSpecDirs(dir), cdilib.WithAutoRefresh(false))
	must(t, err)
	b := lab.Bundle{ID: s.id("device"), Rootfs: rootfs, Args: []string{"sleep", "600"}}
	bundle := filepath.Join(s.Dir, "bundle")
	must(t, b.Write(bundle))
	must(t, injectDevices(cache, filepath.Join(bundle, "config.json"), "berth/network=lan"))
	runc := func(args ...string) {
		_, err := s.Run("runc", append([]string{"--root", filepath.Join(s.Dir, "runc")}, args...)...)
		must(t, err)
	}
	runc("run", "--detach", "--bundle", bundle, b.ID)
	if got := s.attachedInterfaces(t); got != "lan@net1" {
		t.Errorf("attached: %q, want lan@net1", got)
	}
	runc("delete", "--force", b.ID)
	s.expectNothingLeft(t, before)
}

// injectDevices applies devices to a config.json.
func injectDevices(cache *cdilib.Cache, path string, devices ...string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	spec := new(specs.Spec)
	if err := json.Unmarshal(text, spec); err != nil {
		return err
	}
	if left, err := cache.InjectDevices(spec, devices...); err != nil {
		return fmt.Errorf("devices %q: %w", left, err)
	}
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o644)
}

func sorted(all []string) []string {
	slices.Sort(all)
	return all
}
