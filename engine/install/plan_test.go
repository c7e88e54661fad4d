package install

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite testdata/plans")

// cases are hosts and options; testdata/plans has the results.
var cases = map[string]struct {
	engine   string
	asked    Options
	programs string            // PROGRAM=VERSION or PROGRAM, separated by blanks
	files    map[string]string // path to file of testdata/conf
}{
	"containerd-debian12":       {"containerd", Options{}, "containerd=1.6.20~ds1 runc", files{"/etc/containerd/config.toml": "containerd-debian12.toml"}},
	"containerd-1.6":            {"containerd", Options{}, "containerd=1.6.36 runc", files{"/etc/containerd/config.toml": "containerd-1.6-kubeadm.toml"}},
	"containerd-1.6-default":    {"containerd", Options{Flags: Flags{Default: true}}, "containerd=1.6.36 runc", files{"/etc/containerd/config.toml": "containerd-1.6-kubeadm.toml"}},
	"containerd-1.6-none":       {"containerd", Options{}, "containerd=1.6.36 runc", nil},
	"containerd-docker-package": {"containerd", Options{}, "containerd=v1.7.27 runc", files{"/etc/containerd/config.toml": "containerd-docker-package.toml"}},
	"containerd-1.7-imports": {"containerd", Options{Flags: Flags{Default: true}}, "containerd=v1.7.27 runc", files{
		"/etc/containerd/config.toml": "containerd-1.7-imports.toml", "/etc/containerd/runtime.d/gpu.toml": "containerd-1.7-import-gpu.toml"}},
	"containerd-1.5-version1": {"containerd", Options{}, "containerd=1.5.9 runc", files{"/etc/containerd/config.toml": "containerd-1.5-version1.toml"}},
	"containerd-2.0":          {"containerd", Options{}, "containerd=v2.0.5 runc", files{"/etc/containerd/config.toml": "containerd-2.0-default.toml"}},
	"containerd-2.0-imports": {"containerd", Options{Flags: Flags{Default: true}}, "containerd=v2.0.5 runc", files{
		"/etc/containerd/config.toml": "containerd-2.2-default.toml", "/etc/containerd/conf.d/gpu.toml": "containerd-2.0-import-gpu.toml"}},
	"containerd-2.1-inline":  {"containerd", Options{Flags: Flags{Default: true}}, "containerd=v2.1.4 crun", files{"/etc/containerd/config.toml": "containerd-2.1-crun.toml"}},
	"containerd-2.2":         {"containerd", Options{Flags: Flags{Default: true}}, "containerd=v2.2.0 runc crun", files{"/etc/containerd/config.toml": "containerd-2.2-default.toml"}},
	"containerd-2.2-none":    {"containerd", Options{}, "containerd=v2.2.0 runc", nil},
	"containerd-elsewhere":   {"containerd", Options{Flags: Flags{File: "/var/lib/node/containerd.toml"}}, "runc", files{"/var/lib/node/containerd.toml": "containerd-2.0-default.toml"}},
	"docker-none":            {"docker", Options{}, "dockerd=28.2.2 runc", nil},
	"docker-driver":          {"docker", Options{}, "dockerd=28.2.2 runc", files{"/usr/lib/systemd/system/berth-docker.socket": "berth-docker.socket"}},
	"docker-oneline":         {"docker", Options{Flags: Flags{Default: true}}, "dockerd=23.0.6 runc", files{"/etc/docker/daemon.json": "docker-oneline.json"}},
	"docker-gpu":             {"docker", Options{Flags: Flags{Default: true}}, "dockerd=27.5.1 runc", files{"/etc/docker/daemon.json": "docker-gpu.json", "/etc/berth/berth.toml": "berth-comments.toml"}},
	"podman-debian12":        {"podman", Options{}, "podman=4.3.1 runc crun", nil},
	"podman-default":         {"podman", Options{Flags: Flags{Default: true}}, "podman=5.4.0 runc", files{"/etc/berth/berth.toml": "berth-strict.toml"}},
	"podman-own":             {"podman", Options{}, "podman=5.4.0 runc crun", files{"/etc/containers/containers.conf": "podman-containers.conf"}},
	"podman-into":            {"podman", Options{Flags: Flags{File: "/etc/containers/containers.conf", HooksDir: "/srv/hooks.d"}}, "podman=5.4.0 runc", files{"/etc/containers/containers.conf": "podman-containers.conf"}},
	"crio-1.24":              {"crio", Options{}, "crio=1.24.6 runc", files{"/etc/crio/crio.conf": "crio-1.24.conf"}},
	"crio-1.31":              {"crio", Options{}, "crio=1.31.0 runc", files{"/etc/crio/crio.conf.d/10-crio.conf": "crio-1.31.conf"}},
	"crio-1.31-default":      {"crio", Options{Flags: Flags{Default: true}}, "crio=1.31.0", files{"/etc/crio/crio.conf.d/10-crio.conf": "crio-1.31.conf"}},
	"nri-containerd-1.7":     {"nri", Options{}, "containerd=v1.7.27", files{"/etc/containerd/config.toml": "containerd-debian12.toml"}},
	"nri-containerd-2.0":     {"nri", Options{}, "containerd=v2.0.5", files{"/etc/containerd/config.toml": "containerd-2.0-default.toml"}},
	"nri-containerd-2.1-off": {"nri", Options{}, "containerd=v2.1.4", files{"/etc/containerd/config.toml": "containerd-2.1-crun.toml"}},
	"nri-crio":               {"nri", Options{}, "crio=1.29.1", files{"/etc/crio/crio.conf": "crio-1.31.conf"}},
	"nri-crio-elsewhere":     {"nri", Options{Flags: Flags{File: "/srv/crio/crio.conf"}}, "crio=1.34.0", files{"/srv/crio/crio.conf": "crio-nri-dir.conf"}},
	"cdi":                    {"cdi", Options{}, "dockerd=27.5.1", files{"/etc/berth/networks.d/lan.toml": "lan.toml", "/etc/berth/networks.d/9.toml": "lan.toml", "/etc/berth/networks.d/odd-.toml": "lan.toml"}},
	"cdi-none":               {"cdi", Options{Flags: Flags{CDIDir: "/srv/cdi"}}, "", nil},
	"nerdctl":                {"nerdctl", Options{}, "nerdctl=2.0.3", files{"/etc/berth/networks.d/lan.toml": "lan.toml"}},
	"nerdctl-elsewhere": {"nerdctl", Options{}, "nerdctl=2.1.0", files{"/etc/berth/networks.d/lan.toml": "lan.toml", "/etc/berth/networks.d/dmz.toml": "lan.toml",
		"/usr/lib/cni/bridge": "lan.toml", "/etc/cni/net.d/other.conflist": "cni-dmz.conflist"}},
}

func TestPlanGolden(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, c.files)
			o := h.options(c.engine, c.asked)
			p, err := Install(o)
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, "testdata/plans/"+name+".txt", h.showPlan(p))
		})
	}
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), got); d != "" {
		t.Errorf("%s (-want +got):\n%s", path, d)
	}
}

// TestInstallTwiceAndUninstall requires for each host that a second installation changes
// nothing, and that uninstalling restores every file byte for byte.
func TestInstallTwiceAndUninstall(t *testing.T) {
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, c.files)
			o := h.options(c.engine, c.asked)
			before := h.fileTree()
			h.install(o)
			after := h.fileTree()
			if again := h.install(o); len(again.Changed()) > 0 {
				t.Errorf("a second installation:\n%s", h.showPlan(again))
			}
			if d := cmp.Diff(after, h.fileTree()); d != "" {
				t.Errorf("a second installation wrote (-first +second):\n%s", d)
			}
			h.uninstall(o)
			if d := cmp.Diff(before, h.fileTree()); d != "" {
				t.Errorf("uninstalled (-before +after):\n%s", d)
			}
			if left, err := Installed(o.configHome()); len(left) > 0 || err != nil {
				t.Errorf("still installed: %q, %v", left, err)
			}
		})
	}
}
