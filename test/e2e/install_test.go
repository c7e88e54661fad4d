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

// installedPodman is podman as a user has it: with the files of /etc and /usr,
// and no flag or environment that names others.
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

// runs is a container of podman's with further flags, while it runs.
func (p *installedPodman) runs(t *testing.T, name string, flags ...string) {
	t.Helper()
	args := append([]string{"run", "--detach", "--name", p.id(name), "--network", "none"}, flags...)
	_, err := p.podman(append(args, "--rootfs", rootfs, "sleep", "600")...)
	must(t, err)
}

func (p *installedPodman) ends(t *testing.T, name string) {
	t.Helper()
	_, err := p.podman("rm", "--force", "--time", "0", p.id(name))
	must(t, err)
	if all := p.ps(t); len(all) != 0 {
		t.Errorf("%s ended, and berth ps shows %+v", name, all)
	}
}

// attached are the networks and interfaces of what is attached.
func (s *site) attached(t *testing.T) string {
	t.Helper()
	var all []string
	for _, e := range s.ps(t) {
		all = append(all, e.Network+"@"+e.Interface)
	}
	return strings.Join(all, " ")
}

func (p *installedPodman) want(t *testing.T, want string) {
	t.Helper()
	if got := p.attached(t); got != want {
		t.Errorf("attached: %q, want %q", got, want)
	}
}

// systemFiles gives podman what it needs here, in the files that the lab has
// copies of, and nothing of berth's that the machine may have.
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

// configured are the files that engines are configured by, with their texts.
func configured(t *testing.T) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, dir := range []string{"/etc/containers", "/usr/share/containers", "/etc/cdi"} {
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

// TestInstall holds what berth install writes to be what podman reads, and
// berth uninstall to leave nothing of it. It is one test, because it works on
// the files of the whole machine, which the lab has a copy of.
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

	p.runs(t, "untold", annotation)
	p.want(t, "")
	p.ends(t, "untold")
	p.doctor(t, "podman", map[string]string{"version": "pass", "told": "warn", "annotations": "fail"})

	install("podman")
	p.runs(t, "hooked", annotation)
	p.want(t, "lan@lan0")
	p.ends(t, "hooked")
	p.doctor(t, "podman", map[string]string{"version": "pass", "told": "pass", "annotations": "pass"})
	p.named(t, annotation)

	install("podman", "--default")
	p.runs(t, "default", annotation)
	p.want(t, "lan@lan0")
	p.ends(t, "default")
	p.doctor(t, "podman", map[string]string{"version": "pass", "told": "pass", "annotations": "pass"})

	install("cdi")
	p.devices(t, annotation)
	uninstall("podman")
	p.runs(t, "device", "--device=berth/network=lan")
	p.want(t, "lan@net1")
	p.ends(t, "device")
	uninstall("cdi")
	if d := cmp.Diff(before, configured(t)); d != "" {
		t.Errorf("after uninstalling (-before +after):\n%s", d)
	}
}

// named starts containers with the runtime that is installed, with and without
// the file of hooks.d.
func (p *installedPodman) named(t *testing.T, flags ...string) {
	t.Helper()
	for _, hooks := range []string{t.TempDir(), "/usr/share/containers/oci/hooks.d"} {
		args := append([]string{"--hooks-dir", hooks, "--runtime", "berth", "run", "--detach", "--name", p.id("named"), "--network", "none"}, flags...)
		_, err := p.podman(append(args, "--rootfs", rootfs, "sleep", "600")...)
		must(t, err)
		p.want(t, "lan@lan0")
		p.ends(t, "named")
	}
}

// devices starts containers with devices and annotations: they get the union,
// and a network that is made gets a device at once.
func (p *installedPodman) devices(t *testing.T, annotation string) {
	t.Helper()
	for name, c := range map[string]struct {
		flags []string
		want  string
	}{
		"both":  {[]string{annotation, "--device=berth/network=lan"}, "lan@lan0"},
		"union": {[]string{annotation, "--device=berth/network=dmz"}, "lan@lan0 dmz@net1"},
		"two":   {[]string{"--device=berth/network=dmz", "--device=berth/network=lan"}, "dmz@net1 lan@net2"},
	} {
		p.runs(t, name, c.flags...)
		got := strings.Fields(p.attached(t))
		want := strings.Fields(c.want)
		if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
		p.ends(t, name)
	}
	_, err := p.Berth("network", "create", "late", "--subnet", "203.0.113.0/24", "-o", "parent=eth1", "-o", "conflict_timeout=0")
	must(t, err)
	p.runs(t, "late", "--device=berth/network=late")
	p.want(t, "late@net1")
	p.ends(t, "late")
	_, err = p.Berth("network", "rm", "late")
	must(t, err)
	if out, err := p.podman("run", "--rm", "--network", "none", "--device=berth/network=late", "--rootfs", rootfs, "true"); err == nil {
		t.Errorf("a container got a device that is gone: %s", out)
	}
}

// TestDevicesByTheLibrary is what containerd, nerdctl and docker do with a
// device: the library puts its hooks into config.json, and runc runs them.
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
	must(t, inject(cache, filepath.Join(bundle, "config.json"), "berth/network=lan"))
	runc := func(args ...string) {
		_, err := s.Run("runc", append([]string{"--root", filepath.Join(s.Dir, "runc")}, args...)...)
		must(t, err)
	}
	runc("run", "--detach", "--bundle", bundle, b.ID)
	if got := s.attached(t); got != "lan@net1" {
		t.Errorf("attached: %q, want lan@net1", got)
	}
	runc("delete", "--force", b.ID)
	s.nothingLeft(t, before)
}

// inject applies devices to a config.json.
func inject(cache *cdilib.Cache, path string, devices ...string) error {
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
