package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
)

func TestNewest(t *testing.T) {
	names := []string{
		"linux-image-6.1.0-9-cloud-amd64",
		"linux-image-6.1.0-56-cloud-amd64",
		"linux-image-6.1.0-100-amd64",
		"linux-image-6.1.0-99-cloud-amd64-unsigned",
		"linux-image-6.1.0-99-cloud-amd64-dbg",
		"linux-image-6.12-cloud-amd64",
		"linux-image-6.12.99+deb12-cloud-amd64",
		"linux-image-6.12.117+deb12-cloud-amd64",
		"linux-image-cloud-amd64",
	}
	for series, want := range map[string]string{
		"6.1":  "linux-image-6.1.0-56-cloud-amd64",
		"6.12": "linux-image-6.12.117+deb12-cloud-amd64",
		"6.2":  "",
		"6.":   "",
	} {
		if got := newest(series, names); got != want {
			t.Errorf("%s: %q, want %q", series, got, want)
		}
	}
}

func TestWordsOfTheCommandLine(t *testing.T) {
	for name, want := range map[string][2]string{
		"6.12":                     {"6.12", ""},
		"6.12+nohz_full=1":         {"6.12", "nohz_full=1"},
		"@forky+nohz_full=1+quiet": {"@forky", "nohz_full=1 quiet"},
	} {
		series, words := splitWords(name)
		if got := [2]string{series, words}; got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		k := &kernel{Words: words}
		requires := slices.Contains(strings.Split(k.features(), ","), string(testnet.NoTicks))
		if requires != strings.Contains(name, "nohz_full") {
			t.Errorf("%s requires a processor without ticks: %t", name, requires)
		}
	}
}

func TestOpenWantsAnImage(t *testing.T) {
	k := kernels{t.TempDir()}
	name := "linux-image-6.1.0-1-cloud-amd64"
	if _, err := k.open("6.1", name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty package: %v", err)
	}
	boot := filepath.Join(k.dir, name, "boot")
	if err := os.MkdirAll(boot, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(boot, "vmlinuz-6.1.0-1-cloud-amd64"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := k.open("6.1", name)
	if err != nil || got.Release != "6.1.0-1-cloud-amd64" || got.Modules != filepath.Join(k.dir, name, "lib/modules/6.1.0-1-cloud-amd64") {
		t.Errorf("got %+v, %v", got, err)
	}
}
