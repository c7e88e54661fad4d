package agent

import (
	"testing"

	"berth/internal/state"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

func TestNamesOf(t *testing.T) {
	for name, c := range map[string]struct {
		annotations map[string]string
		want        Names
	}{
		"none":    {nil, Names{}},
		"foreign": {map[string]string{"com.example/name": "x"}, Names{}},
		"nerdctl": {
			map[string]string{"nerdctl/name": "web", "nerdctl/namespace": "default"},
			Names{Name: "web"},
		},
		"containerd CRI, sandbox": {
			map[string]string{
				"io.kubernetes.cri.container-type":    "sandbox",
				"io.kubernetes.cri.sandbox-name":      "web-0",
				"io.kubernetes.cri.sandbox-namespace": "prod",
			},
			Names{Name: "web-0", Pod: "web-0", Namespace: "prod"},
		},
		"containerd CRI, container": {
			map[string]string{
				"io.kubernetes.cri.container-name":    "nginx",
				"io.kubernetes.cri.image-name":        "docker.io/library/nginx:1",
				"io.kubernetes.cri.sandbox-name":      "web-0",
				"io.kubernetes.cri.sandbox-namespace": "prod",
			},
			Names{Name: "nginx", Image: "docker.io/library/nginx:1", Pod: "web-0", Namespace: "prod"},
		},
		"CRI-O, sandbox": {
			map[string]string{
				"io.kubernetes.container.name": "POD",
				"io.kubernetes.pod.name":       "web-0",
				"io.kubernetes.pod.namespace":  "prod",
			},
			Names{Name: "web-0", Pod: "web-0", Namespace: "prod"},
		},
		"CRI-O, container": {
			map[string]string{
				"io.kubernetes.container.name":  "nginx",
				"io.kubernetes.cri-o.ImageName": "quay.io/x/nginx:1",
				"io.kubernetes.pod.name":        "web-0",
				"io.kubernetes.pod.namespace":   "prod",
			},
			Names{Name: "nginx", Image: "quay.io/x/nginx:1", Pod: "web-0", Namespace: "prod"},
		},
	} {
		if got := NamesOf(c.annotations); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestEngineNamesTakePrecedence(t *testing.T) {
	a := &state.Attachment{Annotations: map[string]string{"nerdctl/name": "first", "io.kubernetes.cri.image-name": "nginx:1"}}
	if got := NamesFor(a); !cmp.Equal(got, state.Names{Engine: specs.EngineContainerd, Name: "first", Image: "nginx:1"}) {
		t.Errorf("by annotations %+v", got)
	}
	a.Engine = &state.Names{Engine: specs.EngineDocker, Name: "renamed", Labels: map[string]string{"app": "shop"}}
	want := state.Names{Engine: specs.EngineDocker, Name: "renamed", Image: "nginx:1", Labels: map[string]string{"app": "shop"}}
	if got := NamesFor(a); !cmp.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, door := range []string{state.DoorDocker, state.DoorNetavark, state.DoorCNI} {
		want := map[string]string{state.DoorDocker: specs.EngineDocker, state.DoorNetavark: specs.EnginePodman}[door]
		if got := NamesFor(&state.Attachment{Door: &state.Door{Name: door}}).Engine; got != want {
			t.Errorf("engine %q by the door %q, want %q", got, door, want)
		}
	}
}
