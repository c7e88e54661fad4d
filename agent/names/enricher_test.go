package names

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth/internal/state"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

const id = "7eb1efdeaf96590a60bc9f6ce26de6ffea3aa2435b01195b25cd1a786684fee5"

func writeFile(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func wantNames(t *testing.T, e Enricher, id string, want *state.Names) {
	t.Helper()
	got, err := e.Names(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s, %q (-want +got):\n%s", e, id, diff)
	}
}

func TestDocker(t *testing.T) {
	dir := t.TempDir()
	d := Docker(dir)
	wantNames(t, d, id, nil)
	writeFile(t, `{"State":{"Running":true},"ID":"`+id+`","Name":"/web","Config":{"Image":"nginx:1","Labels":{"app":"shop","com.docker/own":"x"}}}`,
		dir, "containers", id, "config.v2.json")
	wantNames(t, d, id, &state.Names{Engine: specs.EngineDocker, Name: "web", Image: "nginx:1", Labels: map[string]string{"app": "shop"}})
	other := strings.Repeat("1", 64)
	wantNames(t, d, other, nil)
	writeFile(t, `{"Name":"/users","Config":{"Image":"nginx:1"}}`, dir, "100000.100001", "containers", other, "config.v2.json")
	wantNames(t, d, other, &state.Names{Engine: specs.EngineDocker, Name: "users", Image: "nginx:1"})
	writeFile(t, `{"Name":"/outside"}`, dir, "config.v2.json")
	for _, strange := range []string{"..", ".", "", "web", strings.ToUpper(id), id + "/.."} {
		wantNames(t, d, strange, nil)
	}
	writeFile(t, `{"Name":`, dir, "containers", id, "config.v2.json")
	if _, err := d.Names(t.Context(), id); err == nil || !strings.Contains(err.Error(), "config.v2.json") {
		t.Errorf("half a file: %v, want an error with its name", err)
	}
}

func TestPodman(t *testing.T) {
	dir := t.TempDir()
	p := Podman(dir)
	wantNames(t, p, id, nil)
	const stored = `[{"id":%q,"names":["%s"],"metadata":%q}]`
	writeFile(t, fmt.Sprintf(stored, id, "web", `{"image-name":"docker.io/library/nginx:1","name":"web"}`), dir, "overlay-containers", "containers.json")
	wantNames(t, p, id, &state.Names{Engine: specs.EnginePodman, Name: "web", Image: "docker.io/library/nginx:1"})
	// podman rename changes the list of names, and leaves the metadata (podman 5.4).
	writeFile(t, fmt.Sprintf(stored, id, "shop", `{"image-name":"docker.io/library/nginx:1","name":"web"}`), dir, "overlay-containers", "containers.json")
	wantNames(t, p, id, &state.Names{Engine: specs.EnginePodman, Name: "shop", Image: "docker.io/library/nginx:1"})
	other := strings.Repeat("0", 64)
	wantNames(t, p, other, nil)
	writeFile(t, fmt.Sprintf(stored, other, "tmp", ""), dir, "overlay-containers", "volatile-containers.json")
	wantNames(t, p, other, &state.Names{Engine: specs.EnginePodman, Name: "tmp"})
}

// TestCRIO holds CRI-O's records of a pod's sandbox and of its container.
func TestCRIO(t *testing.T) {
	for metadata, want := range map[string]state.Names{
		`{"pod-name":"k8s_web-0_prod_1f_0","namespace":"prod","metadata-name":"web-0","image-name":"pause:3","name":"k8s_POD_web-0_prod_1f_0"}`: {
			Name: "web-0", Image: "pause:3", Pod: "web-0", Namespace: "prod"},
		`{"pod-name":"k8s_web-0_prod_1f_0","metadata-name":"nginx","image-name":"nginx:1","name":"k8s_nginx_web-0_prod_1f_0"}`: {
			Name: "nginx", Image: "nginx:1", Pod: "web-0", Namespace: "prod"},
		`{"pod-name":"another_form","namespace":"prod","metadata-name":"nginx"}`: {
			Name: "nginx", Pod: "another_form", Namespace: "prod"},
	} {
		want.Engine = specs.EngineCRIO
		if d := cmp.Diff(&want, storageNames([]string{"k8s_POD_web-0_prod_1f_0"}, metadata)); d != "" {
			t.Errorf("%s (-want +got):\n%s", metadata, d)
		}
	}
}

func TestLabelsOfContainerd(t *testing.T) {
	for name, c := range map[string]struct {
		labels map[string]string
		want   state.Names
	}{
		"nerdctl": {map[string]string{"nerdctl/name": "web", "nerdctl/mounts": "[…]", "app": "shop"},
			state.Names{Name: "web", Labels: map[string]string{"app": "shop"}}},
		"pod": {map[string]string{"io.kubernetes.pod.name": "web-0", "io.kubernetes.pod.namespace": "prod", "io.kubernetes.container.name": "POD", "app": "shop"},
			state.Names{Name: "web-0", Pod: "web-0", Namespace: "prod", Labels: map[string]string{"app": "shop"}}},
		"container of a pod": {map[string]string{"io.kubernetes.pod.name": "web-0", "io.kubernetes.container.name": "nginx"},
			state.Names{Name: "nginx", Pod: "web-0"}},
		"none": {nil, state.Names{}},
	} {
		c.want.Engine, c.want.Image = specs.EngineContainerd, "nginx:1"
		if diff := cmp.Diff(&c.want, namesOf("nginx:1", c.labels)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestLabelsAreBounded(t *testing.T) {
	many := map[string]string{strings.Repeat("k", maxKey+1): "", "long": strings.Repeat("v", maxValue+1), "a": "bad \xff"}
	for i := range 2 * maxLabels {
		many[fmt.Sprintf("key%03d", i)] = "v"
	}
	kept := userLabels(many)
	if len(kept) != maxLabels || kept["a"] != "bad " || kept["key030"] != "v" || kept["key031"] != "" {
		t.Errorf("kept %d: %v, want a and key000 to key030", len(kept), kept)
	}
}

// fixedAnswer is an engine with a fixed answer.
type fixedAnswer struct {
	files
	names *state.Names
	err   error
}

func (fixedAnswer) String() string                                        { return "test" }
func (s fixedAnswer) Names(context.Context, string) (*state.Names, error) { return s.names, s.err }

func TestAskJoins(t *testing.T) {
	down := errors.New("down")
	first := fixedAnswer{names: &state.Names{Name: "web", Labels: map[string]string{"a": "1"}}}
	second := fixedAnswer{names: &state.Names{Name: "other", Image: strings.Repeat("i", 300), Labels: map[string]string{"b": "2"}}}
	got, err := Ask(t.Context(), []Enricher{fixedAnswer{}, first, fixedAnswer{err: down}, second}, "web")
	want := &state.Names{Name: "web", Image: strings.Repeat("i", maxValue), Labels: map[string]string{"a": "1"}}
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, down) {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err := Ask(t.Context(), []Enricher{fixedAnswer{}}, "web"); got != nil || err != nil {
		t.Errorf("nobody knows it: %v, %v", got, err)
	}
}
