package hook

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"berth/specs"
)

// namePrefixes begin the annotations by which engines name a container. They
// are kept with the attachment, so that the agent can name a container from
// its first frame on without asking the engine.
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

// Bounds of the annotations that are kept: keys, and bytes a value.
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

// The annotations by which containerd's CRI and CRI-O name a pod's namespace.
// Each engine overwrites its own; the other's a pod may be able to write.
const (
	namespaceContainerd = "io.kubernetes.cri.sandbox-namespace"
	namespaceCRIO       = "io.kubernetes.pod.namespace"
)

// kubernetesNamespace returns the namespace of a pod's container, as the
// engine wrote it; "" outside of Kubernetes. Where both engines' annotations
// are there and differ, one of them is the pod's own invention.
func kubernetesNamespace(annotations map[string]string) (string, error) {
	a, b := annotations[namespaceContainerd], annotations[namespaceCRIO]
	if a != "" && b != "" && a != b {
		return "", &specs.ValueError{Key: namespaceCRIO, Value: b, Want: fmt.Sprintf("the same as %s, which is %q", namespaceContainerd, a), Err: specs.ErrPolicy}
	}
	return cmp.Or(a, b), nil
}
