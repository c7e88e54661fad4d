package machine

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// standIn puts a script in qemu's place.
func standIn(t *testing.T, script string) *Machine {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "qemu-system-x86_64"), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return &Machine{Console: filepath.Join(dir, "console"), Limit: time.Minute}
}

func TestMachineSpeaks(t *testing.T) {
	var out bytes.Buffer
	if _, err := standIn(t, "echo hello").Run(t.Context(), &out); err != nil || out.String() != "hello\n" {
		t.Errorf("got %q, %v", &out, err)
	}
}

func TestMachineThatHangsIsStopped(t *testing.T) {
	m := standIn(t, "exec sleep 1000000") // longer than any deadline of tests
	m.Limit = 20 * time.Millisecond
	if _, err := m.Run(t.Context(), new(bytes.Buffer)); err == nil || err.Error() != "still running after 20ms: stopped" {
		t.Errorf("got %v", err)
	}
}

func TestMachineThatCannotStart(t *testing.T) {
	_, err := standIn(t, "echo no such image >&2; exit 1").Run(t.Context(), new(bytes.Buffer))
	if err == nil || !strings.Contains(err.Error(), "exit status 1: no such image") {
		t.Errorf("got %v", err)
	}
}

func TestConsole(t *testing.T) {
	m := &Machine{Console: filepath.Join(t.TempDir(), "console")}
	if got := m.ConsoleEnd(2); len(got) != 1 || !strings.Contains(got[0], "no such file") {
		t.Errorf("without a console: %q", got)
	}
	if err := os.WriteFile(m.Console, []byte("one\r\ntwo\r\nthree\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := m.ConsoleEnd(2); !slices.Equal(got, []string{"two", "three"}) {
		t.Errorf("got %q", got)
	}
	if err := os.WriteFile(m.Console, []byte("one\n[ 1.0] Kernel panic - not syncing\nregisters\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := m.ConsoleEnd(2); !slices.Equal(got, []string{"[ 1.0] Kernel panic - not syncing", "registers"}) {
		t.Errorf("of a panic: %q", got)
	}
}
