package names

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"berth/internal/state"
)

// Enricher returns an engine's names of containers. Its methods may be called concurrently.
type Enricher interface {
	// String returns the engine's name, for the log.
	String() string
	// Names returns the engine's names of the container with the ID that the runtime got,
	// or nil if the engine has no such container or does not exist. An error means that the
	// answer is not known now.
	Names(ctx context.Context, id string) (*state.Names, error)
	// Watch calls changed with the ID of each container that the engine has renamed or
	// relabelled, or with "" if it may have missed some, until ctx is done. It waits for an
	// engine that does not run. An error means that the engine cannot be followed now;
	// Watch may then be called again.
	Watch(ctx context.Context, changed func(id string)) error
}

// Ask joins the engines' answers about a container: for each field the first that is not
// empty. It returns nil if no engine has the container. It may return an error together
// with the other engines' answers.
func Ask(ctx context.Context, engines []Enricher, id string) (*state.Names, error) {
	var joined *state.Names
	var errs []error
	for _, e := range engines {
		answer, err := e.Names(ctx, id)
		errs = append(errs, err)
		if answer == nil {
			continue
		}
		if joined == nil {
			joined = new(state.Names)
		}
		setIfEmpty(&joined.Engine, answer.Engine)
		setIfEmpty(&joined.Name, answer.Name)
		setIfEmpty(&joined.Image, answer.Image)
		setIfEmpty(&joined.Pod, answer.Pod)
		setIfEmpty(&joined.Namespace, answer.Namespace)
		if len(joined.Labels) == 0 {
			joined.Labels = answer.Labels
		}
	}
	return joined, errors.Join(errs...)
}

func setIfEmpty(field *string, answer string) {
	if *field == "" {
		*field = boundedText(answer, maxValue)
	}
}

// Bounds of the stored labels, as users write them.
const (
	maxLabels = 32
	maxKey    = 128 // bytes
	maxValue  = 256 // bytes
)

// enginesOwn are prefixes of labels that engines set for their own use; some hold whole
// documents.
var enginesOwn = []string{
	"nerdctl/", "containerd.io/", "io.containerd.", "io.cri-containerd", "io.kubernetes.", "com.docker/",
	"io.podman.", "io.buildah.",
}

// userLabels returns the labels that are not the engine's own, the first in order up to the
// bound; it leaves out longer ones.
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

// boundedText shortens an engine's string to n bytes of whole characters.
func boundedText(s string, n int) string {
	return strings.ToValidUTF8(s[:min(len(s), n)], "")
}

// kubernetesNames returns the names in the kubelet's labels
// (k8s.io/kubelet/pkg/types/labels.go).
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

// isID reports whether an ID has the form of docker's and podman's. Others are not looked
// up in their directories, as the runtime's caller chooses a container's ID.
func isID(id string) bool {
	return len(id) == 64 && strings.Trim(id, "0123456789abcdef") == ""
}
