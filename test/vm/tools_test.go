package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
)

func TestParseLdd(t *testing.T) {
	got, err := parseLdd("\tlinux-vdso.so.1 (0x00007ffd)\n" +
		"\tlibcap.so.2 => /lib/x86_64-linux-gnu/libcap.so.2 (0x00007f)\n" +
		"\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n")
	want := []string{"/lib/x86_64-linux-gnu/libcap.so.2", "/lib64/ld-linux-x86-64.so.2"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := parseLdd("\tlibx.so => not found\n"); err == nil {
		t.Error("a missing library is no error")
	}
}

// TestFindTool finds a program that is only in the cache, and names the remedy if it is nowhere.
func TestFindTool(t *testing.T) {
	cache := t.TempDir()
	t.Setenv(testnet.CacheVar, cache)
	t.Setenv("PATH", t.TempDir())
	if path, err := findTool("etcd"); err == nil || !strings.Contains(err.Error(), "scripts/deps.sh vm") {
		t.Errorf("without etcd: %q, %v", path, err)
	}
	want := filepath.Join(cache, "bin", "etcd")
	if err := os.Mkdir(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := findTool("etcd"); err != nil || path != want {
		t.Errorf("with etcd in the cache: %q, %v, want %q", path, err, want)
	}
}
