package names

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"berth/internal/state"
)

// Enricher knows what an engine calls its containers. Its methods may be
// called concurrently.
type Enricher interface {
	// String says which engine it is, for the log.
	String() string
	// Names returns what the engine says of a container by the id that the
	// runtime was given; nil when it has none of that id, or is not there at
	// all. An error means that the answer is not known now.
	Names(ctx context.Context, id string) (*state.Names, error)
	// Watch calls changed with the id of each container that the engine has
	// renamed or relabelled, with "" when it may have missed some, until ctx
	// is done. An engine that is not there is waited for. The error says why
	// the engine cannot be followed now; Watch may be called again then.
	Watch(ctx context.Context, changed func(id string)) error
}

// Ask joins what the engines say of a container: of each field the first
// answer that is not empty. It returns nil when nobody knows the container. An
// error is beside what the others said.
func Ask(ctx context.Context, engines []Enricher, id string) (*state.Names, error) {
	var joined *state.Names
	var errs []error
	for _, e := range engines {
		said, err := e.Names(ctx, id)
		errs = append(errs, err)
		if said == nil {
			continue
		}
		if joined == nil {
			joined = new(state.Names)
		}
		fill(&joined.Name, said.Name)
		fill(&joined.Image, said.Image)
		fill(&joined.Pod, said.Pod)
		fill(&joined.Namespace, said.Namespace)
		if len(joined.Labels) == 0 {
			joined.Labels = said.Labels
		}
	}
	return joined, errors.Join(errs...)
}

func fill(field *string, said string) {
	if *field == "" {
		*field = bounded(said, maxValue)
	}
}

// What is kept of a container's labels: users write them.
const (
	maxLabels = 32
	maxKey    = 128 // bytes
	maxValue  = 256 // bytes
)

// enginesOwn are prefixes of labels that engines give for their own use; some
// hold whole documents.
var enginesOwn = []string{
	"nerdctl/", "containerd.io/", "io.containerd.", "io.cri-containerd", "io.kubernetes.", "com.docker/", "io.podman.", "io.buildah.",
}

// userLabels returns those labels that are not the engine's own, the first in
// order up to the bound; longer ones are left out.
func userLabels(labels map[string]string) map[string]string {
	kept := make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		own := slices.ContainsFunc(enginesOwn, func(prefix string) bool { return strings.HasPrefix(key, prefix) })
		if value := labels[key]; !own && len(kept) < maxLabels && len(key) <= maxKey && len(value) <= maxValue {
			kept[strings.ToValidUTF8(key, "")] = strings.ToValidUTF8(value, "")
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// bounded shortens what an engine said to whole characters.
func bounded(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// kubernetesNames are the labels by which the kubelet names what a container
// is for (k8s.io/kubelet/pkg/types/labels.go).
func kubernetesNames(labels map[string]string) state.Names {
	n := state.Names{
		Name:      labels["io.kubernetes.container.name"],
		Pod:       labels["io.kubernetes.pod.name"],
		Namespace: labels["io.kubernetes.pod.namespace"],
	}
	if n.Name == "" || n.Name == "POD" { // it only holds the pod's namespaces
		n.Name = n.Pod
	}
	return n
}

// isID reports whether an id is one that docker and podman make. Others are
// not looked for in their folders: a container's id is the runtime's caller's
// word.
func isID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
