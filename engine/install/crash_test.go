package install

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/internal/podmanconf"
)

// crashed returns a host on which an installation, or an uninstallation, was killed after n of its
// files, while it wrote the next one. It returns nil if it has fewer files.
func crashed(t *testing.T, engine string, uninstalling bool, n int) (h *host, before map[string]string) {
	t.Helper()
	h = newHost(t, "podman=5.4.0 dockerd=28.0.0 nerdctl=2.1.0 runc crun", files{"/etc/docker/daemon.json": "docker-gpu.json", "/etc/berth/berth.toml": "berth-comments.toml", "/etc/berth/networks.d/lan.toml": "lan.toml"})
	h.write(podmanconf.UsrHooksDir+"/berth.json", "of another version\n", 0o644)
	before = h.fileTree()
	p, err := Install(h.options(engine, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	if uninstalling {
		h.install(h.options(engine, Options{}))
		if p, err = Uninstall(h.options(engine, Options{})); err != nil {
			t.Fatal(err)
		}
	} else if err := writeRecord(p); err != nil {
		t.Fatal(err)
	}
	if n >= len(p.Changed()) {
		return nil, nil
	}
	for _, f := range p.Changed()[:n] {
		if err := writeFile(f.Path, f.After); err != nil {
			t.Fatal(err)
		}
	}
	if next := p.Changed()[n]; next.After != nil {
		if err := os.MkdirAll(filepath.Dir(next.Path), 0o755); err != nil {
			t.Fatal(err)
		}
		if _, err := writeBeside(next.Path, next.After); err != nil {
			t.Fatal(err)
		}
	}
	return h, before
}

// TestAfterACrash requires that an installation or uninstallation that was killed between two files can
// be repeated and undone, and that no temporary file is left.
func TestAfterACrash(t *testing.T) {
	for _, engine := range []string{Docker, Podman, Nerdctl} {
		for _, uninstalling := range []bool{false, true} {
			for n := 0; ; n++ {
				h, before := crashed(t, engine, uninstalling, n)
				if h == nil {
					break
				}
				again := n%2 == 0
				if again {
					h.install(h.options(engine, Options{}))
				}
				h.uninstall(h.options(engine, Options{}))
				if d := cmp.Diff(before, h.fileTree()); d != "" {
					t.Errorf("%s, uninstalling %t, killed after %d files, again %t (-before +after):\n%s", engine, uninstalling, n, again, d)
				}
			}
		}
	}
}
