package hook

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// podmanStore is a storage as podman 4.3 writes it (containers/storage 1.43).
var podmanStore = map[string]string{
	"overlay-containers/containers.json":          `[{"id":"other","image":"i9"},{"id":"c1","names":["web"],"image":"i1","layer":"l1"}]`,
	"overlay-containers/volatile-containers.json": `[{"id":"c2","image":"i1"},{"id":"c3","image":"../i1"},{"id":"c4","image":"gone"}]`,
	"overlay-images/i1/manifest":                  `{"schemaVersion":2,"annotations":{"berth/networks":"lan","org.example":"x"}}`,
}

func TestCheckPublished(t *testing.T) {
	root := t.TempDir()
	for name, text := range podmanStore {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	bundle := func(id string) string { return filepath.Join(root, "overlay-containers", id, "userdata") }
	lan := map[string]string{"berth/networks": "lan", "org.example": "x"}
	for name, c := range map[string]struct {
		state   State
		refused bool
	}{
		"the image's":               {State{ID: "c1", Bundle: bundle("c1"), Annotations: lan}, true},
		"the image's, volatile":     {State{ID: "c2", Bundle: bundle("c2"), Annotations: lan}, true},
		"the user's in its place":   {State{ID: "c1", Bundle: bundle("c1"), Annotations: map[string]string{"berth/networks": "lab"}}, false},
		"not berth's":               {State{ID: "c1", Bundle: bundle("c1"), Annotations: map[string]string{"org.example": "x"}}, false},
		"an image's name is a path": {State{ID: "c3", Bundle: bundle("c3"), Annotations: lan}, false},
		"an image that is gone":     {State{ID: "c4", Bundle: bundle("c4"), Annotations: lan}, false},
		"a container of nobody":     {State{ID: "c5", Bundle: bundle("c5"), Annotations: lan}, false},
		"another engine's":          {State{ID: "c1", Bundle: "/run/bundles/c1", Annotations: lan}, false},
		"no bundle":                 {State{ID: "c1", Annotations: lan}, false},
	} {
		err := checkPublished(&c.state)
		if (err != nil) != c.refused || err != nil && !strings.Contains(err.Error(), "annotation berth/networks is refused") {
			t.Errorf("%s: %v, want it refused: %t", name, err, c.refused)
		}
	}
}
