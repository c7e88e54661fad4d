package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCpioReadsTheArchive(t *testing.T) {
	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("program"), 0o600); err != nil {
		t.Fatal(err)
	}
	tr := tree{}
	tr.file("a/b/file", []byte("12345"))
	tr.program("a/program", source)
	tr.symlink("link", "a/b/file")
	tr.dir("empty")
	var archive bytes.Buffer
	if err := tr.write(&archive); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("busybox", "cpio", "-idm")
	cmd.Dir, cmd.Stdin = dir, &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v: %s", err, out)
	}
	for name, want := range map[string]string{"link": "12345", "a/program": "program"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range map[string]os.FileMode{
		"a": os.ModeDir | 0o755, "empty": os.ModeDir | 0o755, "a/b/file": 0o644, "a/program": 0o755,
	} {
		if info, err := os.Lstat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v; want %v", name, info, err, want)
		}
	}
}

func TestArchiveBytes(t *testing.T) {
	var archive bytes.Buffer
	tr := tree{}
	tr.file("ab", []byte("xyz"))
	if err := tr.write(&archive); err != nil {
		t.Fatal(err)
	}
	want := "070701" + "00000001" + "000081A4" + "00000000" + "00000000" + "00000001" + "00000000" +
		"00000003" + strings.Repeat("0", 32) + "00000003" + "00000000" + "ab\x00\x00\x00\x00" + "xyz\x00"
	if got, _, _ := strings.Cut(archive.String(), "070701"+"00000002"); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if archive.Len()%4 != 0 || !strings.Contains(archive.String(), "TRAILER!!!\x00") {
		t.Errorf("ends with %q", archive.String()[len(want):])
	}
}
