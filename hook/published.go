package hook

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/opencontainers/runtime-spec/specs-go"

	berth "berth/specs"
)

// checkPublished refuses an annotation that is not of whoever starts the
// container but of its image: podman before 4.6 hands those on
// (pkg/specgen/generate/container.go), and so a publisher would choose a place
// on the LAN. It can be told by the image's manifest in podman's storage, whose
// places are those of containers/storage; elsewhere nothing is refused.
func checkPublished(st *specs.State) error {
	published := imageAnnotations(st.Bundle, st.ID)
	for _, key := range slices.Sorted(maps.Keys(published)) {
		value := published[key]
		if got, ok := st.Annotations[key]; ok && got == value && strings.HasPrefix(key, berth.Prefix) {
			return berth.Invalid(key, value, "the annotation of whoever starts the container, but this is the image's, which podman before 4.6 "+
				"hands on: give one of your own by --annotation, or use another image")
		}
	}
	return nil
}

// imageAnnotations returns what a container's image has in its manifest, as far
// as that can be found: the bundle is GRAPHROOT/DRIVER-containers/ID/userdata.
func imageAnnotations(bundle, id string) map[string]string {
	containers := filepath.Dir(filepath.Dir(bundle))
	driver, stored := strings.CutSuffix(filepath.Base(containers), "-containers")
	if !stored || bundle != filepath.Join(containers, id, "userdata") {
		return nil
	}
	// The second has those that are removed when they end (podman run --rm), in
	// later versions of the storage.
	for _, file := range []string{"containers.json", "volatile-containers.json"} {
		var all []struct{ ID, Image string }
		readJSON(filepath.Join(containers, file), &all)
		for _, c := range all {
			if c.ID != id || c.Image != filepath.Base(c.Image) {
				continue
			}
			var manifest struct{ Annotations map[string]string }
			readJSON(filepath.Join(filepath.Dir(containers), driver+"-images", c.Image, "manifest"), &manifest)
			return manifest.Annotations
		}
	}
	return nil
}

// readJSON reads a file if it is there and is as expected.
func readJSON(path string, into any) {
	if text, err := os.ReadFile(path); err == nil {
		_ = json.Unmarshal(text, into) // another engine's, of another form: nothing is told
	}
}
