package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"berth/specs"
)

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	c, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(specs.DefaultConfig(), c); diff != "" {
		t.Errorf("no file is not all defaults (-want +got):\n%s", diff)
	}
	writeText(t, filepath.Join(dir, "berth.toml"), "[policy]\nstatic_ips = true\n")
	want := specs.DefaultConfig()
	want.Policy.StaticIPs = true
	if c, err = Load(dir); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("policy is not laid over the defaults (-want +got):\n%s", diff)
	}
}

func TestLoadNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "berth.toml")
	for name, text := range map[string]string{
		"unknown key": "[policy]\nstatic_ip = true\n",
		"bad value":   "[agent]\nattach = \"xdp\"\n",
		"not TOML":    "policy\n",
	} {
		writeText(t, path, text)
		if _, err := Load(dir); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: error %v, want one that begins with %q", name, err, path+": ")
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("a directory: error %v, want one that names %q", err, path)
	}
}

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
