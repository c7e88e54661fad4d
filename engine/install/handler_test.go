package install

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// cri2 and cri3 are headers of tables of containerd's runtimes, of versions 2 and 3.
const (
	cri2 = "[plugins.'io.containerd.grpc.v1.cri'.containerd"
	cri3 = "[plugins.'io.containerd.cri.v1.runtime'.containerd"
)

// TestAForeignRuntimeStays requires that no runtime of others that has berth's name is replaced, and
// that an entry that an administrator wrote for berth-runtime is taken over.
func TestAForeignRuntimeStays(t *testing.T) {
	for name, c := range map[string]struct{ engine, programs, path, text, want string }{
		"docker, another program":    {Docker, "dockerd=28.0.0 runc", daemonJSON, `{"runtimes": {"berth": {"path": "/opt/other"}}}`, `already has a runtime "berth" with the program "/opt/other"`},
		"docker, a shim":             {Docker, "dockerd=28.0.0 runc", daemonJSON, `{"runtimes": {"berth": {"runtimeType": "io.containerd.kata.v2"}}}`, `without a program`},
		"docker, by hand":            {Docker, "dockerd=28.0.0 runc", daemonJSON, `{"runtimes": {"berth": {"path": "/usr/local/bin/berth-runtime-late"}}}`, ""},
		"docker, null":               {Docker, "dockerd=28.0.0 runc", daemonJSON, `{"runtimes": {"berth": null}}`, ""},
		"docker, null for all":       {Docker, "dockerd=28.0.0 runc", daemonJSON, `{"runtimes": null}`, ""},
		"containerd 2":               {Containerd, "containerd=2.1.0 runc", containerdConfig, "version = 3\n" + cri3 + ".runtimes.berth]\nruntime_type = 'io.containerd.kata.v2'\n", "without a program"},
		"containerd 2, in a drop-in": {Containerd, "containerd=2.1.0 runc", containerdConfig, "version = 3\nimports = ['conf.d/*.toml']\n" + cri3 + ".runtimes.berth.options]\nBinaryName = '/opt/crun'\n", `"/opt/crun"`},
		"containerd 1, by hand":      {Containerd, "containerd=1.7.0 runc", containerdConfig, "version = 2\n" + cri2 + ".runtimes.berth.options]\nBinaryName = '/opt/berth-runtime'\n", ""},
		"CRI-O":                      {CRIO, "crio=1.31.0 crun", "/etc/crio/crio.conf.d/10-mine.conf", "[crio.runtime.runtimes.berth]\nruntime_path = '/opt/other'\n", `"/opt/other"`},
		"podman":                     {Podman, "podman=5.4.0 crun", "/etc/containers/containers.conf", "[engine.runtimes]\nberth = ['/opt/other']\n", `"/opt/other"`},
		"podman, by hand":            {Podman, "podman=5.4.0 crun", "/etc/containers/containers.conf", "[engine.runtimes]\nberth = ['/usr/bin/berth-runtime-late']\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, nil)
			h.write(c.path, c.text, 0o644)
			before := h.fileTree()
			o := h.options(c.engine, Options{})
			p, err := Install(o)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "is not berth's") {
					t.Fatalf("plan %v, error %v, want one with %q", p, err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			h.install(o)
			h.uninstall(o)
			if d := cmp.Diff(before, h.fileTree()); d != "" {
				t.Errorf("uninstalled (-before +after):\n%s", d)
			}
		})
	}
}

// TestADefaultOfAnotherKindStays requires that --default is refused if the present default runtime is
// none that berth-runtime can execute: the containers would silently lose its isolation. Without
// --default, berth's handler has another runtime.
func TestADefaultOfAnotherKindStays(t *testing.T) {
	for name, c := range map[string]struct{ engine, programs, path, text, without string }{
		"docker":       {Docker, "dockerd=28.0.0 runc", daemonJSON, `{"default-runtime": "kata", "runtimes": {"kata": {"runtimeType": "io.containerd.kata.v2"}}}`, lateLink},
		"containerd 2": {Containerd, "containerd=2.1.0 runc", containerdConfig, "version = 3\n" + cri3 + "]\ndefault_runtime_name = 'kata'\n" + cri3 + ".runtimes.kata]\nruntime_type = 'io.containerd.kata.v2'\n", "/usr/bin/berth-runtime"},
		"containerd 1": {Containerd, "containerd=1.7.0 runc", containerdConfig, "version = 2\n" + cri2 + "]\ndefault_runtime_name = 'gvisor'\n" + cri2 + ".runtimes.gvisor]\nruntime_type = 'io.containerd.runsc.v1'\n", "/usr/bin/berth-runtime"},
		"CRI-O":        {CRIO, "crio=1.31.0 crun runc", "/etc/crio/crio.conf.d/10-kata.conf", "[crio.runtime]\ndefault_runtime = 'kata'\n[crio.runtime.runtimes.kata]\nruntime_path = '/usr/bin/containerd-shim-kata-v2'\nruntime_type = 'vm'\n", "/usr/bin/crun"},
		"podman":       {Podman, "podman=5.4.0 runc", "/etc/containers/containers.conf", "[engine]\nruntime = 'kata'\n", lateLink},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, nil)
			h.write(c.path, c.text, 0o644)
			if p, err := Install(h.options(c.engine, Options{Flags: Flags{Default: true}})); err == nil || !strings.Contains(err.Error(), "install without --default") {
				t.Errorf("plan %v, error %v", p, err)
			}
			p := h.install(h.options(c.engine, Options{}))
			if text := h.showPlan(p); !strings.Contains(text, c.without) || strings.Contains(text, "vm") || strings.Contains(text, "'/usr/bin/containerd-shim-kata-v2'") {
				t.Errorf("without --default:\n%s", text)
			}
		})
	}
}

// TestTheDefaultsOptionsStay requires that berth-runtime runs docker's default runtime with its own
// arguments, and the one that a shim's option names.
func TestTheDefaultsOptionsStay(t *testing.T) {
	for text, want := range map[string]string{
		`{"default-runtime": "k", "runtimes": {"k": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug", "--log-level", "it's"]}}}`: `'--berth-runtime' '/usr/bin/crun' '--berth-attach' 'start' '--debug' '--log-level' 'it'\''s' "$@"`,
		`{"default-runtime": "k", "runtimes": {"k": {"path": "runc", "runtimeArgs": ["--debug"]}}}`:                                 `'--berth-attach' 'start' '--debug' "$@"`,
		`{"default-runtime": "k", "runtimes": {"k": {"runtimeType": "io.containerd.runc.v2", "options": {"BinaryName": "/x"}}}}`:    `'--berth-runtime' '/x' '--berth-attach' 'start' "$@"`,
	} {
		h := newHost(t, "dockerd=28.0.0 runc crun", nil)
		h.write(daemonJSON, text, 0o644)
		p := h.install(h.options(Docker, Options{}))
		if got := h.showPlan(p); !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant %s", text, got, want)
		}
	}
}

// TestADefaultByHandIsRemoved requires that no file names berth's runtime as the default after the
// runtime is gone, also if an administrator wrote the default: the engine would not start. If an
// administrator had written the runtime before, the runtime and the default remain.
func TestADefaultByHandIsRemoved(t *testing.T) {
	for name, c := range map[string]struct{ engine, programs, path, text, before, after string }{
		"docker":                  {Docker, "dockerd=28.0.0 runc", daemonJSON, "{\n  \"a\": 1\n}\n", "\"a\": 1", "\"default-runtime\": \"berth\",\n  \"a\": 1"},
		"docker, a new file":      {Docker, "dockerd=28.0.0 runc", daemonJSON, "", "{", "{\n    \"default-runtime\": \"berth\","},
		"containerd":              {Containerd, "containerd=1.7.0 runc", containerdConfig, "version = 2\n" + cri2 + "]\nx = 1\n", "x = 1", "x = 1\ndefault_runtime_name = \"berth\""},
		"containerd, a drop-in":   {Containerd, "containerd=2.1.0 runc", "/etc/containerd/conf.d/zz.toml", "version = 3\n" + cri3 + "]\nx = 1\n", "x = 1", "x = 1\ndefault_runtime_name = 'berth'"},
		"CRI-O, another file":     {CRIO, "crio=1.31.0 crun", "/etc/crio/crio.conf.d/zz.conf", "[crio.runtime]\nx = 1\n", "x = 1", "x = 1\ndefault_runtime = \"berth\""},
		"podman, its own file":    {Podman, "podman=5.4.0 crun", "/etc/containers/containers.conf", "[engine]\nx = 1\n", "x = 1", "runtime = \"berth\"\nx = 1"},
		"podman, a later drop-in": {Podman, "podman=5.4.0 crun", "/etc/containers/containers.conf.d/zz.conf", "[engine]\nx = 1\n", "x = 1", "x = 1\nruntime = 'berth'"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, nil)
			if c.text != "" {
				h.write(c.path, c.text, 0o644)
			}
			if name == "containerd, a drop-in" {
				h.write(containerdConfig, "version = 3\nimports = ['/etc/containerd/conf.d/*.toml']\n", 0o644)
			}
			before := h.fileTree()
			o := h.options(c.engine, Options{})
			h.install(o)
			text, err := os.ReadFile(h.root + c.path)
			if err != nil || !strings.Contains(string(text), c.before) {
				t.Fatalf("%s, %v", text, err)
			}
			h.write(c.path, strings.Replace(string(text), c.before, c.after, 1), 0o644)
			p := h.uninstall(o)
			if d := cmp.Diff(before, h.fileTree()); d != "" {
				t.Errorf("uninstalled (-before +after):\n%s", d)
			}
			if !strings.Contains(h.showPlan(p), "set since the installation, is removed too") {
				t.Errorf("does not show it:\n%s", h.showPlan(p))
			}
		})
	}
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	own := `{"default-runtime": "berth", "runtimes": {"berth": {"path": "/usr/local/bin/berth-runtime-late"}}}`
	h.write(daemonJSON, own, 0o644)
	o := h.options(Docker, Options{})
	h.install(o)
	h.uninstall(o)
	if text, err := os.ReadFile(h.root + daemonJSON); string(text) != own {
		t.Errorf("an administrator's own: %s, %v", text, err)
	}
}

// TestFlagsOfDockerd requires that an installation is refused that the running dockerd would not read,
// or that would keep it from starting again.
func TestFlagsOfDockerd(t *testing.T) {
	for _, c := range []struct {
		flags string
		given Flags
		want  string
	}{
		{"--config-file=/srv/docker.json", Flags{}, "give --engine-config /srv/docker.json"},
		{"--config-file=/srv/docker.json", Flags{File: "/srv/docker.json"}, ""},
		{"--config-file /etc/docker/daemon.json -H fd://", Flags{}, ""},
		{"--default-runtime crun", Flags{Default: true}, "dockerd runs with --default-runtime crun"},
		{"--default-runtime crun", Flags{}, ""},
	} {
		h := newHost(t, "dockerd=28.0.0 runc crun", nil)
		h.write("/srv/docker.json", "{}\n", 0o644)
		h.writeDockerd(c.flags)
		p, err := Install(h.options(Docker, Options{Flags: c.given}))
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %+v: %v; want %q", c.flags, c.given, err, c.want)
		}
		if strings.HasPrefix(c.flags, "--default-runtime") && err == nil && !strings.Contains(h.showPlan(p), "'--berth-runtime' '"+"/usr/bin/crun'") {
			t.Errorf("%s: berth-runtime does not run the default:\n%s", c.flags, h.showPlan(p))
		}
	}
	h := newHost(t, "dockerd=28.0.0 runc", nil)
	o := h.options(Docker, Options{})
	h.install(o)
	h.writeDockerd("--data-root /srv/docker --default-runtime=berth")
	h.write("/srv/docker/containers/aaa/hostconfig.json", `{"Runtime": "berth"}`, 0o600)
	h.write("/srv/docker/containers/bbb/hostconfig.json", "", 0o600)
	text := h.showPlan(h.uninstall(o))
	for _, want := range []string{"cannot start after a restart of docker: aaa;", "remove that flag before you restart", "docker does not load the container of /srv/docker/containers/bbb/hostconfig.json"} {
		if !strings.Contains(text, want) {
			t.Errorf("uninstalling shows\n%s\nwant %q", text, want)
		}
	}
}

// writeDockerd writes the pid file and the command line of a running dockerd.
func (h *host) writeDockerd(flags string) {
	h.Helper()
	h.write("/run/docker.pid", fmt.Sprint(os.Getpid()), 0o644)
	h.write(fmt.Sprintf("/proc/%d/cmdline", os.Getpid()), strings.Join(append([]string{"/usr/bin/dockerd"}, strings.Fields(flags)...), "\x00")+"\x00", 0o444)
}

// TestPodmanListsOfNames requires that berth's runtime is added to the lists as podman reads them over
// its files, and that a file that hides it is named.
func TestPodmanListsOfNames(t *testing.T) {
	for _, c := range []struct{ first, later, want, note string }{
		{"", "", `runtime_supports_json = ["crun", "runc", "kata", "runsc", "youki", "krun", "berth"]`, ""},
		{`["my"]`, "", `runtime_supports_json = ["my", "berth"]`, ""},
		{`["my", {append = true}]`, "", `runtime_supports_json = ["berth"]`, ""},
		{`["my", {append = true}]`, `["x", {append = false}]`, `runtime_supports_json`, `zz.conf is read after /etc/containers/containers.conf.d/99-berth.conf, and sets engine.runtime_supports_json without "berth"`},
		{"", `["x", {append = true}]`, `runtime_supports_json = [`, ""},
		{"", `["x", "berth"]`, `runtime_supports_json = [`, ""},
	} {
		h := newHost(t, "podman=5.4.0 crun", nil)
		for path, value := range map[string]string{"containers.conf": c.first, "containers.conf.d/zz.conf": c.later} {
			if value != "" {
				h.write("/etc/containers/"+path, "[engine]\nruntime_supports_json = "+value+"\n", 0o644)
			}
		}
		text := h.showPlan(h.install(h.options(Podman, Options{})))
		if !strings.Contains(text, c.want) || strings.Contains(text, "is read after") != (c.note != "") || !strings.Contains(text, c.note) {
			t.Errorf("%q, %q:\n%s\nwant %q and %q", c.first, c.later, text, c.want, c.note)
		}
	}
}

// TestDirectoriesOfDevices requires a note on each engine that reads devices elsewhere, and no note on
// one that is not installed, or whose file cannot be read.
func TestDirectoriesOfDevices(t *testing.T) {
	for _, c := range []struct{ programs, path, text, dir, want string }{
		{"dockerd=28.3.0", daemonJSON, `{"cdi-spec-dirs": ["/srv/cdi"]}`, "", "dockerd does not read devices in /etc/cdi"},
		{"dockerd=28.3.0", daemonJSON, `{"cdi-spec-dirs": ["/srv/cdi"]}`, "/srv/cdi", ""},
		{"dockerd=28.3.0", daemonJSON, `{"cdi-spec-dirs": ["/srv/cdi", "/etc/cdi"]}`, "", ""},
		{"dockerd=28.3.0", daemonJSON, `{"cdi-spec-dirs": `, "", ""},
		{"podman=5.8.0", daemonJSON, `{"cdi-spec-dirs": ["/srv/cdi"]}`, "", ""},
		{"nerdctl=2.1.0", nerdctlConfig, `cdi_spec_dirs = ["/srv/cdi"]`, "", "nerdctl does not read devices in /etc/cdi"},
		{"podman=5.8.0", "/etc/containers/containers.conf", "[engine]\ncdi_spec_dirs = ['/srv/cdi']\n", "", "podman does not read devices in /etc/cdi"},
		{"podman=5.8.0", "/etc/containers/containers.conf", "[engine]\ncdi_spec_dirs = ['/srv/cdi', {append = true}]\n", "", ""},
		{"containerd=2.1.0", containerdConfig, "version = 3\n[plugins.'io.containerd.cri.v1.runtime']\ncdi_spec_dirs = ['/srv/cdi']\n", "", "containerd does not read devices in /etc/cdi"},
	} {
		h := newHost(t, c.programs, files{"/etc/berth/networks.d/lan.toml": "lan.toml"})
		h.write(c.path, c.text, 0o644)
		p := h.install(h.options(CDI, Options{Flags: Flags{CDIDir: c.dir}}))
		if text := h.showPlan(p); strings.Contains(text, "does not read devices") != (c.want != "") || !strings.Contains(text, c.want) {
			t.Errorf("%s, %s:\n%s", c.path, c.text, text)
		}
		for _, f := range p.Files {
			if f.Path == h.root+c.path && f.Changed() {
				t.Errorf("changes %s", f.Path)
			}
		}
	}
}
