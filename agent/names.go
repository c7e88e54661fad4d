package agent

import (
	"cmp"

	"berth/internal/state"
	"berth/specs"
)

// Names are a container's names, as far as its engine provides them.
type Names struct{ Name, Image, Pod, Namespace string }

// nameKeys are the annotations in which engines store a container's names, the best one
// first.
var nameKeys = struct{ name, image, pod, namespace []string }{
	name: []string{
		"nerdctl/name",                      // nerdctl pkg/labels
		"io.kubernetes.cri.container-name",  // containerd internal/cri/annotations
		"io.kubernetes.container.name",      // kubelet's label, which CRI-O passes on
		"io.kubernetes.cri-o.ContainerName", // CRI-O
	},
	image: []string{
		"io.kubernetes.cri.image-name",
		"io.kubernetes.cri-o.ImageName",
	},
	pod:       []string{"io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"},
	namespace: []string{"io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"},
}

// infraName is the name that CRI-O and the kubelet give to the container that holds a pod's
// namespaces; the user knows the pod by the pod's name.
const infraName = "POD"

// NamesOf returns the names in a container's annotations; docker and podman set none. A
// container that only holds a pod's namespaces gets the pod's name.
func NamesOf(annotations map[string]string) Names {
	n := Names{
		Name:      firstAnnotation(annotations, nameKeys.name),
		Image:     firstAnnotation(annotations, nameKeys.image),
		Pod:       firstAnnotation(annotations, nameKeys.pod),
		Namespace: firstAnnotation(annotations, nameKeys.namespace),
	}
	if n.Pod != "" && (n.Name == "" || n.Name == infraName) {
		n.Name = n.Pod
	}
	return n
}

// NamesFor returns the names of an attachment's container: the engine's answer, or else
// those in the annotations, or else the name of an observed interface's holder.
func NamesFor(a *state.Attachment) state.Names {
	annotated := NamesOf(a.Annotations)
	n := state.Names{}
	if a.Engine != nil {
		n = *a.Engine
	}
	n.Engine = cmp.Or(n.Engine, engineOfDoor(a.Door), engineOf(a.Annotations))
	n.Name = cmp.Or(n.Name, annotated.Name, a.Holder)
	n.Image = cmp.Or(n.Image, annotated.Image)
	n.Pod = cmp.Or(n.Pod, annotated.Pod)
	n.Namespace = cmp.Or(n.Namespace, annotated.Namespace)
	return n
}

// engineMarks are the annotations that only one engine sets.
var engineMarks = []struct{ annotation, engine string }{
	{"nerdctl/name", specs.EngineContainerd},
	{"io.kubernetes.cri.sandbox-name", specs.EngineContainerd},
	{"io.kubernetes.cri-o.ContainerName", specs.EngineCRIO},
}

// engineOf returns the engine that has set a container's annotations, or "" if they do not
// name one. For a pod, berth-nri sets CRI-O's keys for every runtime, but not these.
func engineOf(annotations map[string]string) string {
	for _, m := range engineMarks {
		if annotations[m.annotation] != "" {
			return m.engine
		}
	}
	return ""
}

// engineOfDoor returns the engine whose own way of requesting an interface was used, or ""
// if several engines have it.
func engineOfDoor(d *state.Door) string {
	switch {
	case d == nil:
		return ""
	case d.Name == state.DoorDocker:
		return specs.EngineDocker
	case d.Name == state.DoorNetavark:
		return specs.EnginePodman
	}
	return ""
}

func firstAnnotation(annotations map[string]string, keys []string) string {
	for _, key := range keys {
		if v := annotations[key]; v != "" {
			return v
		}
	}
	return ""
}
