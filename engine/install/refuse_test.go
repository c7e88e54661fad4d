package install

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/specs"
)

func TestInvalidOptions(t *testing.T) {
	for name, c := range map[string]struct {
		o   Options
		key string
	}{
		"no such engine":       {Options{Engine: "lxc"}, "--engine"},
		"nothing to configure": {Options{Engine: "nerdctl", Flags: Flags{File: "/etc/nerdctl/nerdctl.toml"}}, "--engine-config"},
		"no default":           {Options{Engine: "cdi", Flags: Flags{Default: true}}, "--default"},
		"no hooks.d":           {Options{Engine: "docker", Flags: Flags{HooksDir: "/srv"}}, "--hooks-dir"},
		"relative":             {Options{Engine: "docker", Flags: Flags{File: "daemon.json"}}, "--engine-config"},
	} {
		_, err := Install(c.o)
		var bad *specs.ValueError
		if !errors.As(err, &bad) || bad.Key != c.key {
			t.Errorf("%s: %v, want a ValueError of %s", name, err, c.key)
		}
	}
}

// TestInstallRefuses requires that a host that lacks something, or has an unreadable file,
// is refused before anything is written, with the name of the cause.
func TestInstallRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		engine, programs string
		files            map[string]string // text
		remove           string
		want             string
	}{
		"no hook":           {"podman", "podman=5.0.0 runc", nil, "/usr/bin/berth-hook", "berth-hook"},
		"no runtime":        {"docker", "dockerd=28.0.0", nil, "/usr/bin/berth-runtime", "berth-runtime"},
		"broken TOML":       {"containerd", "containerd=1.7.0", files{"/etc/containerd/config.toml": "version = 2\n[plugins\n"}, "", "config.toml: line 2"},
		"broken JSON":       {"docker", "dockerd=28.0.0", files{"/etc/docker/daemon.json": "{\n  \"a\": 1,\n}"}, "", "daemon.json: line 3"},
		"another's layout":  {"docker", "dockerd=28.0.0", files{"/etc/docker/daemon.json": `{"runtimes": []}`}, "", "daemon.json"},
		"too old for NRI":   {"nri", "containerd=1.6.20", nil, "", "1.7"},
		"CRI-O's NRI":       {"nri", "crio=1.25.0", nil, "", "1.26"},
		"no engine for NRI": {"nri", "", nil, "", "neither"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, nil)
			for path, text := range c.files {
				h.write(path, text, 0o644)
			}
			if c.remove != "" {
				if err := os.Remove(h.root + c.remove); err != nil {
					t.Fatal(err)
				}
			}
			p, err := Install(h.options(c.engine, Options{}))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("plan %v, error %v, want one with %q", p, err, c.want)
			}
		})
	}
}

func TestUninstallOfNothing(t *testing.T) {
	h := newHost(t, "", nil)
	if _, err := Uninstall(h.options("docker", Options{})); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("error %v, want ErrNotInstalled", err)
	}
}

// TestApplyNoticesAnother requires that no file changed meanwhile is overwritten, and that
// files written before it are restored.
func TestApplyNoticesAnother(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", files{"/etc/docker/daemon.json": "docker-gpu.json"})
	o := h.options("docker", Options{})
	p, err := Install(o)
	if err != nil {
		t.Fatal(err)
	}
	h.write("/etc/berth/berth.toml", "# another's\n", 0o644)
	before := h.fileTree()
	if err := p.Apply(); err == nil || !strings.Contains(err.Error(), "berth.toml") {
		t.Errorf("error %v, want one of berth.toml", err)
	}
	after := h.fileTree()
	for path, text := range before {
		if after[path] != text {
			t.Errorf("%s is %q, was %q", path, after[path], text)
		}
	}
	if len(after) != len(before) {
		t.Errorf("files %v, were %v", after, before)
	}
	if left, err := Installed(o.configHome()); len(left) > 0 || err != nil {
		t.Errorf("installed: %q, %v", left, err)
	}
}

// TestStalePlanLeavesTheRecord requires that a stale plan removes nothing that was installed meanwhile.
func TestStalePlanLeavesTheRecord(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", files{"/etc/docker/daemon.json": "docker-gpu.json"})
	before := h.fileTree()
	o := h.options("docker", Options{Flags: Flags{Default: true}})
	late, err := Install(o)
	if err != nil {
		t.Fatal(err)
	}
	h.install(h.options("docker", Options{}))
	if err := late.Apply(); !errors.Is(err, ErrStale) {
		t.Errorf("error %v, want ErrStale", err)
	}
	p, err := Repeat(h.options("docker", Options{}))
	if err != nil || p.flags.Default || len(p.Changed()) > 0 {
		t.Errorf("%v, as it was installed would change:\n%s", err, h.showPlan(p))
	}
	h.uninstall(h.options("docker", Options{}))
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

// TestUninstallOfABrokenFile requires that nothing is removed and the record stays while a
// file cannot be read, as berth's part of it is unknown.
func TestUninstallOfABrokenFile(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", files{"/etc/docker/daemon.json": "docker-gpu.json"})
	before := h.fileTree()
	o := h.options("docker", Options{})
	h.install(o)
	text, err := os.ReadFile(h.root + "/etc/docker/daemon.json")
	if err != nil {
		t.Fatal(err)
	}
	h.write("/etc/docker/daemon.json", string(text)+"}", 0o640)
	if _, err := Uninstall(o); err == nil || !strings.Contains(err.Error(), "daemon.json: line ") {
		t.Errorf("error %v, want one of a line of daemon.json", err)
	}
	h.write("/etc/docker/daemon.json", string(text), 0o640)
	h.uninstall(o)
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

func TestABrokenRecordIsNamed(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	o := h.options("docker", Options{})
	h.install(o)
	h.write("/etc/berth/installed/docker/record.json", "{", 0o644)
	for _, plan := range []func(Options) (*Plan, error){Install, Uninstall} {
		if _, err := plan(o); err == nil || !strings.Contains(err.Error(), h.root+"/etc/berth/installed/docker/record.json: ") {
			t.Errorf("error %v, want one that names the record", err)
		}
	}
}

// TestLinksToNothingAreFollowed requires that a configuration that is a dangling link is
// created at its target.
func TestLinksToNothingAreFollowed(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	link := h.root + "/etc/docker/daemon.json"
	if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink("../../srv/daemon.json", link)); err != nil {
		t.Fatal(err)
	}
	before := h.fileTree()
	o := h.options("docker", Options{})
	h.install(o)
	if text := h.fileTree()["/srv/daemon.json"]; !strings.Contains(text, "berth-runtime") {
		t.Errorf("behind the link is %q", text)
	}
	h.uninstall(o)
	if d := cmp.Diff(before, h.fileTree()); d != "" {
		t.Errorf("uninstalled (-before +after):\n%s", d)
	}
}

// TestLinksAreFollowed requires that a configuration that is a link stays one.
func TestLinksAreFollowed(t *testing.T) {
	h := newHost(t, "dockerd=28.0.0 runc", files{"/srv/daemon.json": "docker-gpu.json"})
	link := h.root + "/etc/docker/daemon.json"
	if err := errors.Join(os.MkdirAll(filepath.Dir(link), 0o755), os.Symlink("../../srv/daemon.json", link)); err != nil {
		t.Fatal(err)
	}
	before := h.fileTree()
	o := h.options("docker", Options{})
	h.install(o)
	if text := h.fileTree()["/srv/daemon.json"]; !strings.Contains(text, "berth-runtime") {
		t.Errorf("behind the link is %s", text)
	}
	h.uninstall(o)
	for path, text := range before {
		if got := h.fileTree()[path]; got != text {
			t.Errorf("%s is %q, was %q", path, got, text)
		}
	}
}
