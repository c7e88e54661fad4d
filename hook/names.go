package hook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"berth/specs"
)

// namePrefixes are the prefixes of the annotations by which engines name a container.
// They are kept with the attachment, so that the agent can name a container from its
// first frame without a request to the engine.
var namePrefixes = []string{
	"nerdctl/",                  // nerdctl: name, namespace, hostname
	"io.kubernetes.cri.",        // containerd's CRI: sandbox and container, name, namespace, image
	"io.kubernetes.cri-o.",      // CRI-O
	"io.kubernetes.pod.",        // CRI-O: name, namespace, uid
	"io.kubernetes.container.",  // CRI-O: name
	"io.podman.",                // podman
	"io.container.manager",      // podman: libpod
	"org.opencontainers.image.", // image-spec
}

// Bounds of the kept annotations: their number, and the bytes of one with its key.
const (
	maxNames = 48
	maxName  = 256
)

func namingAnnotations(all map[string]string) map[string]string {
	kept := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		names := slices.ContainsFunc(namePrefixes, func(p string) bool { return strings.HasPrefix(key, p) })
		if names && len(kept) < maxNames && len(key)+len(all[key]) <= maxName {
			kept[key] = all[key]
		}
	}
	return kept
}

// The annotations by which containerd's CRI and CRI-O name a pod's namespace. Each
// engine overwrites its own; a pod may be able to write the other's.
const (
	namespaceContainerd = "io.kubernetes.cri.sandbox-namespace"
	namespaceCRIO       = "io.kubernetes.pod.namespace"
)

// kubernetesNamespace returns the namespace of a pod's container, as the engine wrote
// it, or "" outside of Kubernetes. If the annotations of both engines exist and
// differ, the pod has forged one of them.
func kubernetesNamespace(annotations map[string]string) (string, error) {
	a, b := annotations[namespaceContainerd], annotations[namespaceCRIO]
	if a != "" && b != "" && a != b {
		return "", &specs.ValueError{Key: namespaceCRIO, Value: b,
			Problem: fmt.Sprintf("%s differs (%q), so one of them is forged", namespaceContainerd, a), Err: specs.ErrPolicy}
	}
	return cmp.Or(a, b), nil
}
