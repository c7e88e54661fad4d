package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/nri/pkg/api"
	validator "github.com/containerd/nri/plugins/default-validator"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	node "k8s.io/api/node/v1"
	rbac "k8s.io/api/rbac/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"berth/engine/nri"
	"berth/internal/config"
	"berth/specs"
)

const manifests = "../../deploy/kubernetes"

// objects decodes all manifests strictly: a field that the API does not have, or a
// repeated field, fails the test.
func objects(t *testing.T) (all []any) {
	t.Helper()
	files, err := filepath.Glob(manifests + "/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			all = append(all, object(t, file, document))
		}
	}
	return all
}

func object(t *testing.T, file string, document []byte) any {
	t.Helper()
	var kind meta.TypeMeta
	if err := yaml.Unmarshal(document, &kind); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	o := map[meta.TypeMeta]any{
		{APIVersion: "v1", Kind: "Namespace"}:                      new(core.Namespace),
		{APIVersion: "v1", Kind: "ServiceAccount"}:                 new(core.ServiceAccount),
		{APIVersion: "v1", Kind: "ConfigMap"}:                      new(core.ConfigMap),
		{APIVersion: "v1", Kind: "Pod"}:                            new(core.Pod),
		{APIVersion: "apps/v1", Kind: "DaemonSet"}:                 new(apps.DaemonSet),
		{APIVersion: "rbac.authorization.k8s.io/v1", Kind: "Role"}: new(rbac.Role),
		{APIVersion: "node.k8s.io/v1", Kind: "RuntimeClass"}:       new(node.RuntimeClass),
	}[kind]
	if o == nil {
		t.Fatalf("%s: %+v is no kind that this test knows", file, kind)
	}
	if err := yaml.UnmarshalStrict(document, o); err != nil {
		t.Fatalf("%s: %s: %v", file, kind.Kind, err)
	}
	return o
}

// the returns the only object of a type.
func the[T any](t *testing.T) *T {
	t.Helper()
	var found []*T
	for _, o := range objects(t) {
		if o, ok := o.(*T); ok {
			found = append(found, o)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d objects of %T, want 1", len(found), found)
	}
	return found[0]
}

func TestManifestsAreOfTheAPI(t *testing.T) {
	t.Parallel()
	if n := len(objects(t)); n < 8 {
		t.Errorf("%d objects", n)
	}
}

func TestConfigMapsAreBerthsFiles(t *testing.T) {
	t.Parallel()
	var names []string
	for _, o := range objects(t) {
		m, ok := o.(*core.ConfigMap)
		if !ok {
			continue
		}
		names = append(names, m.Name)
		for file, text := range m.Data {
			dir := t.TempDir()
			path := filepath.Join(dir, file)
			if m.Name == "berth-networks" {
				path = filepath.Join(config.NetworksDir(dir), file)
			}
			writeFile(t, path, text)
			if c, err := config.Load(dir); err != nil || !slices.Equal(c.Policy.Networks, []string{"*"}) {
				t.Errorf("%s: %+v, %v", file, c.Policy, err)
			}
			all, errs := config.Networks(dir)
			if len(errs) > 0 || len(all) != strings.Count(path, "networks.d") {
				t.Errorf("%s: %v, %v", file, all, errs)
			}
		}
	}
	for _, c := range daemonSet(t).Containers {
		for _, m := range c.VolumeMounts {
			v := volume(t, m.Name)
			if v.ConfigMap != nil && !slices.Contains(names, v.ConfigMap.Name) {
				t.Errorf("container %s: no ConfigMap %q", c.Name, v.ConfigMap.Name)
			}
		}
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func daemonSet(t *testing.T) core.PodSpec {
	t.Helper()
	return the[apps.DaemonSet](t).Spec.Template.Spec
}

func volume(t *testing.T, name string) core.Volume {
	t.Helper()
	for _, v := range daemonSet(t).Volumes {
		if v.Name == name {
			return v
		}
	}
	t.Fatalf("no volume %q", name)
	return core.Volume{}
}

// TestContainersRunExistingPrograms checks that the image has the programs, that they have the
// flags, and that the node's files are mounted at their default paths.
func TestContainersRunExistingPrograms(t *testing.T) {
	t.Parallel()
	programs := build(t)
	for _, c := range daemonSet(t).Containers {
		commands := [][]string{slices.Concat(c.Command, c.Args)}
		if c.LivenessProbe != nil {
			commands = append(commands, c.LivenessProbe.Exec.Command)
		}
		for _, command := range commands {
			dir, program := filepath.Split(command[0])
			if dir != imageBin+"/" {
				t.Errorf("%s: program %q, and the image has them in %s", c.Name, command[0], imageBin)
			}
			checkFlags(t, filepath.Join(programs, program), command[1:])
		}
		mounts := map[string]core.VolumeMount{}
		for _, m := range c.VolumeMounts {
			mounts[m.MountPath] = m
			if host := volume(t, m.Name).HostPath; host != nil && "/var"+m.MountPath != host.Path && m.MountPath != host.Path {
				t.Errorf("%s: %s of the node is at %s", c.Name, host.Path, m.MountPath)
			}
		}
		for _, want := range []string{config.DefaultState, filepath.Dir(config.DefaultBPFFS), config.NetworksDir(config.DefaultConfig), config.DefaultConfig + "/berth.toml"} {
			if _, ok := mounts[want]; !ok {
				t.Errorf("%s: nothing at %s", c.Name, want)
			}
		}
	}
}

// TestContainersHaveTheUnitsCapabilities checks that both containers have the
// capabilities of the systemd units. A test of berthd runs it under those of its unit,
// one of berth-nri under those of the manifest.
func TestContainersHaveTheUnitsCapabilities(t *testing.T) {
	t.Parallel()
	for _, c := range daemonSet(t).Containers {
		unit, err := os.ReadFile("../../deploy/systemd/" + c.Name + ".service")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, name := range c.SecurityContext.Capabilities.Add {
			names = append(names, "CAP_"+string(name))
		}
		if want := "\nCapabilityBoundingSet=" + strings.Join(names, " ") + "\n"; !strings.Contains(string(unit), want) {
			t.Errorf("the unit of %s has no %q", c.Name, want)
		}
		s := c.SecurityContext
		if s.Privileged != nil || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []core.Capability{"ALL"}) {
			t.Errorf("%s may do more than it must: %+v", c.Name, s)
		}
	}
}

// TestAnnotationsOfTheRuntimesValidator checks that the runtime's validator reads the
// annotations about the plugin.
func TestAnnotationsOfTheRuntimesValidator(t *testing.T) {
	t.Parallel()
	all := validator.NewDefaultValidator(&validator.DefaultValidatorConfig{
		Enable: true, RequiredPlugins: []string{nri.Name}, TolerateMissingAnnotation: "tolerate-missing-plugins.noderesource.dev"})
	validators := validator.NewDefaultValidator(&validator.DefaultValidatorConfig{Enable: true})
	ours, sample := the[apps.DaemonSet](t).Spec.Template.Annotations, the[core.Pod](t).Annotations
	for _, c := range []struct {
		name        string
		by          *validator.DefaultValidator
		annotations map[string]string
		fails       bool
	}{
		{"a pod without annotations, the node requires berth", all, nil, true},
		{"the DaemonSet, the node requires berth", all, ours, false},
		{"the sample pod, which itself requires berth", validators, sample, true},
		{"a pod without annotations, nothing requires berth", validators, nil, false},
	} {
		request := &api.ValidateContainerAdjustmentRequest{
			Pod: &api.PodSandbox{Annotations: c.annotations}, Container: &api.Container{Name: "c"}, Owners: api.NewOwningPlugins()}
		if err := c.by.ValidateContainerAdjustment(t.Context(), request); (err != nil) != c.fails {
			t.Errorf("%s: %v", c.name, err)
		}
		request.AddPlugin(nri.Name, "10")
		if err := c.by.ValidateContainerAdjustment(t.Context(), request); err != nil {
			t.Errorf("%s, with the plugin: %v", c.name, err)
		}
	}
}

func TestSamplePodSelectsExistingNetwork(t *testing.T) {
	t.Parallel()
	pod := the[core.Pod](t)
	all, err := specs.ParseAnnotations(pod.Annotations)
	if err != nil || len(all) != 1 {
		t.Fatalf("%v, %v", all, err)
	}
	for _, o := range objects(t) {
		m, ok := o.(*core.ConfigMap)
		if !ok || m.Name != "berth-networks" {
			continue
		}
		n, err := specs.DecodeNetwork(all[0].Network, []byte(m.Data[all[0].Network+".toml"]))
		if err != nil {
			t.Fatal(err)
		}
		if err := n.AllowNamespace(pod.Namespace); err != nil {
			t.Error(err)
		}
	}
}
