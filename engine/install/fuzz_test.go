package install

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/engine/edit"
)

// FuzzInstallAndUninstall requires for any configuration that if berth can be installed in
// it, uninstalling restores it byte for byte, also if a line was added meanwhile.
func FuzzInstallAndUninstall(f *testing.F) {
	found, err := filepath.Glob("testdata/conf/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range found {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(strings.HasSuffix(path, ".json"), string(text))
	}
	f.Fuzz(func(t *testing.T, isJSON bool, text string) {
		format, engine, path, later := edit.TOML, Containerd, containerdConfig, "\n# later\n"
		if isJSON {
			format, engine, path, later = edit.JSON, Docker, daemonJSON, "\n\n"
		}
		if _, err := format.Decode(text); err != nil || text == "" {
			return
		}
		h := newHost(t, "dockerd=28.2.2 containerd=1.7.27 runc", nil)
		o := h.options(engine, Options{Flags: Flags{Default: true}})
		for _, added := range []string{"", later} {
			h.write(path, text, 0o644)
			p, err := Install(o)
			if err != nil {
				return // reported as an error
			}
			if err := p.Apply(); err != nil {
				t.Fatal(err)
			}
			with, err := os.ReadFile(h.root + path)
			if err != nil {
				t.Fatal(err)
			}
			h.write(path, string(with)+added, 0o644)
			h.uninstall(o)
			if got, _ := os.ReadFile(h.root + path); string(got) != text+added {
				t.Fatalf("%q became %q and then %q", text, with, got)
			}
		}
	})
}
