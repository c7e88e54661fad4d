package hook

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dockerBundle makes a bundle, as docker's, of a container with a network mode,
// and returns its path.
func dockerBundle(t testing.TB, id, mode string) string {
	t.Helper()
	dir := t.TempDir()
	of := filepath.Join(dir, "containers", id)
	bundle := filepath.Join(dir, "bundle")
	for _, d := range []string{of, bundle} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for path, text := range map[string]string{
		filepath.Join(of, "hostconfig.json"): fmt.Sprintf(`{"Binds":null,"NetworkMode":%q}`, mode),
		filepath.Join(bundle, "config.json"): fmt.Sprintf(`{"mounts":[{"destination":"/proc","source":"proc"},`+
			`{"destination":"/etc/hosts","source":"/srv/hosts"},{"destination":"/etc/hostname","source":%q}]}`, filepath.Join(of, "hostname")),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return bundle
}

func TestTheEnginesNetworkThatIsToCome(t *testing.T) {
	t.Parallel()
	id := strings.Repeat("c", 64)
	for mode, want := range map[string]string{
		"bridge": `docker's network "bridge"`, "default": `docker's network "default"`, "mine": `docker's network "mine"`,
		"none": "", "host": "", "container:x": "", "": "",
	} {
		if got := pendingNetwork(&State{ID: id, Bundle: dockerBundle(t, id, mode)}); got != want {
			t.Errorf("docker's %q: %q, want %q", mode, got, want)
		}
	}
	for text, want := range map[string]string{
		`["bridge"]`: `nerdctl's network "bridge"`, `["none","mine"]`: `nerdctl's network "mine"`,
		`["none"]`: "", `["host"]`: "", `["container:x"]`: "", `["ns:/run/netns/x"]`: "", `[]`: "", `x`: "",
	} {
		st := &State{ID: id, Annotations: map[string]string{"nerdctl/networks": text}}
		if got := pendingNetwork(st); got != want {
			t.Errorf("nerdctl's %s: %q, want %q", text, got, want)
		}
	}
	for name, st := range map[string]*State{
		"no bundle":           {ID: id},
		"no config.json":      {ID: id, Bundle: t.TempDir()},
		"another container's": {ID: "other", Bundle: dockerBundle(t, id, "bridge")},
	} {
		if got := pendingNetwork(st); got != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}
