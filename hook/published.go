package hook

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"berth/specs"
)

// checkPublished refuses an annotation that comes from the container's image: podman
// before 4.6 copies those (pkg/specgen/generate/container.go), so that an image's
// publisher could choose a place on the LAN. The image's manifest in podman's storage
// (the layout of containers/storage) shows it; without such a storage nothing is
// refused.
func checkPublished(st *State) error {
	published := imageAnnotations(st.Bundle, st.ID)
	for _, key := range slices.Sorted(maps.Keys(published)) {
		value := published[key]
		if got, ok := st.Annotations[key]; ok && got == value && strings.HasPrefix(key, specs.Prefix) {
			return fmt.Errorf("annotation %s is refused, because its value %q comes from the container's image (podman "+
				"before 4.6 copies it): "+
				"set it by --annotation, or use another image", key, value)
		}
	}
	return nil
}

// imageAnnotations returns the annotations of the manifest of a container's image, if
// it can be found: the bundle is GRAPHROOT/DRIVER-containers/ID/userdata.
func imageAnnotations(bundle, id string) map[string]string {
	containers := filepath.Dir(filepath.Dir(bundle))
	driver, stored := strings.CutSuffix(filepath.Base(containers), "-containers")
	if !stored || bundle != filepath.Join(containers, id, "userdata") {
		return nil
	}
	// In later versions of the storage, the second file lists the containers that are
	// removed when they end (podman run --rm).
	for _, file := range []string{"containers.json", "volatile-containers.json"} {
		var all []struct{ ID, Image string }
		readEngineFile(filepath.Join(containers, file), &all)
		for _, c := range all {
			if c.ID != id || c.Image != filepath.Base(c.Image) {
				continue
			}
			var manifest struct{ Annotations map[string]string }
			readEngineFile(filepath.Join(filepath.Dir(containers), driver+"-images", c.Image, "manifest"), &manifest)
			return manifest.Annotations
		}
	}
	return nil
}
