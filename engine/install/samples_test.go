package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/engine/edit"
	"berth/internal/podmanconf"
)

// samples are the files written on a host without any configuration, for users who
// configure engines by other means.
var samples = map[string]struct {
	engine, programs string
	path             string // of the written file
}{
	"cdi/berth.json":             {CDI, "", "/etc/cdi/berth.json"},
	"containerd/config-1.x.toml": {Containerd, "containerd=1.7.27 runc", containerdConfig},
	"containerd/config-2.x.toml": {Containerd, "containerd=2.2.0 runc", containerdConfig},
	"crio/99-berth.conf":         {CRIO, "crio=1.31.0 runc", crioDropIn},
	"docker/daemon.json":         {Docker, "dockerd=28.2.2 runc", daemonJSON},
	"hooks.d/berth.json":         {Podman, "podman=5.4.0 runc", podmanconf.UsrHooksDir + "/berth.json"},
	"podman/99-berth.conf":       {Podman, "podman=5.4.0 runc", podmanDropIn},
}

// TestSamples compares the samples in deploy with the code's output (-update writes them).
func TestSamples(t *testing.T) {
	for name, c := range samples {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, c.programs, files{"/etc/berth/networks.d/lan.toml": "lan.toml"})
			h.install(h.options(c.engine, Options{}))
			text, err := os.ReadFile(h.root + c.path)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join("../../deploy", name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			compareGolden(t, path, strings.ReplaceAll(string(text), h.root+"/usr/bin", "/usr/local/bin"))
		})
	}
}

// TestSamplesAreKnown requires that a host with a sample needs changes only in other files.
func TestSamplesAreKnown(t *testing.T) {
	h := newHost(t, "dockerd=28.2.2 runc", nil)
	text, err := os.ReadFile("../../deploy/docker/daemon.json")
	if err != nil {
		t.Fatal(err)
	}
	h.write(daemonJSON, strings.ReplaceAll(string(text), "/usr/local/bin", h.root+"/usr/bin"), 0o644)
	p, err := Install(h.options(Docker, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range p.Changed() {
		if f.Path == h.root+daemonJSON {
			t.Errorf("the sample is changed: %s", edit.Diff("", "", f.Disk.text(), f.After.text()))
		}
	}
}
