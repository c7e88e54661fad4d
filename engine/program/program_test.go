package program

import (
	"os"
	"path/filepath"
	"testing"
)

func TestBeside(t *testing.T) {
	dir := t.TempDir()
	hook, client := filepath.Join(dir, Hook), filepath.Join(dir, Client)
	want := func(what, path string) {
		t.Helper()
		if got := Beside(hook); got != path {
			t.Errorf("%s: %q, want %q", what, got, path)
		}
	}
	want("without a client", hook)
	if err := os.WriteFile(client, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	want("with a client that is not executable", hook)
	if err := os.Chmod(client, 0o755); err != nil {
		t.Fatal(err)
	}
	want("with a client", client)
}

func TestIsHook(t *testing.T) {
	for path, want := range map[string]bool{
		"/usr/bin/berth-hook": true, "/opt/berth-hook-client": true, "berth-hook": true,
		"/usr/bin/berth": false, "/usr/bin/my-berth-hook": false, "/usr/bin/berth-hook-clients": false, "": false,
	} {
		if got := IsHook(path); got != want {
			t.Errorf("IsHook(%q) = %t", path, got)
		}
	}
}
