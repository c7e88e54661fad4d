package hook

import (
	"maps"
	"slices"
	"strings"
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

// kubernetesNamespace returns the namespace of a pod's container, as the
// engine wrote it; "" outside of Kubernetes.
func kubernetesNamespace(annotations map[string]string) string {
	for _, key := range []string{"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"} {
		if v := annotations[key]; v != "" {
			return v
		}
	}
	return ""
}
