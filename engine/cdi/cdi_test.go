package cdi

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/opencontainers/runtime-spec/specs-go"
	cdilib "tags.cncf.io/container-device-interface/pkg/cdi"

	"berth/internal/config"
)

var standard = config.Dirs{Config: config.DefaultConfig, State: config.DefaultState, BPFFS: config.DefaultBPFFS}

// newCache returns the library as an engine uses it, over a generated file.
func newCache(t *testing.T, networks ...string) *cdilib.Cache {
	t.Helper()
	text, left, err := Generate(networks, "/usr/bin/berth-hook", standard)
	if err != nil || left != nil {
		t.Fatal(left, err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := cdilib.NewCache(cdilib.WithSpecDirs(dir), cdilib.WithAutoRefresh(false))
	if err != nil {
		t.Fatal(err)
	}
	if errs := c.GetErrors(); len(errs) > 0 {
		t.Fatal(errs)
	}
	return c
}

func TestAnEngineReadsTheDevices(t *testing.T) {
	c := newCache(t, "lan", "9", "a.b_c-d")
	if d := cmp.Diff([]string{"berth/network=9", "berth/network=a.b_c-d", "berth/network=lan"}, c.ListDevices()); d != "" {
		t.Errorf("devices (-want +got):\n%s", d)
	}
}

// TestAnEngineAppliesADevice requires that a device adds its two complete hooks to a
// container's configuration, and nothing else.
func TestAnEngineAppliesADevice(t *testing.T) {
	spec := &specs.Spec{Version: "1.0.2"}
	if left, err := newCache(t, "lan", "dmz").InjectDevices(spec, "berth/network=dmz"); err != nil || left != nil {
		t.Fatal(left, err)
	}
	timeout := 30
	entry := func(args ...string) []specs.Hook {
		return []specs.Hook{{
			Path: "/usr/bin/berth-hook", Args: append([]string{"berth-hook"}, args...),
			Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1"}, Timeout: &timeout,
		}}
	}
	want := &specs.Spec{Version: "1.0.2", Hooks: &specs.Hooks{
		CreateRuntime: entry("--network", "dmz", "createRuntime"), Poststop: entry("poststop"),
	}}
	if d := cmp.Diff(want, spec); d != "" {
		t.Errorf("configuration (-want +got):\n%s", d)
	}
}

func TestNamesThatAreNoDevices(t *testing.T) {
	text, left, err := Generate([]string{"lan.", "lan_", "../x", "x-"}, "/usr/bin/berth-hook", standard)
	if err != nil || text != "" || !slices.Equal(left, []string{"lan.", "lan_", "../x", "x-"}) {
		t.Errorf("%q, %q, %v, want no text and all names", text, left, err)
	}
}

// TestTheOldestVersion requires the oldest version that has the features used, so that old
// engines read the file: names that begin with a digit came with 0.5.0.
func TestTheOldestVersion(t *testing.T) {
	for name, want := range map[string]string{"lan": "0.3.0", "9": "0.5.0"} {
		spec, _, err := Spec([]string{name}, "/usr/bin/berth-hook", standard)
		if err != nil || spec.Version != want {
			t.Errorf("%q: version %q, %v, want %q", name, spec.Version, err, want)
		}
	}
}

func TestEncodeValidates(t *testing.T) {
	spec, _, err := Spec([]string{"lan"}, "", standard)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := Encode(spec); err == nil {
		t.Errorf("a hook without a path was written: %s", text)
	}
}
