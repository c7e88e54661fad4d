package eventlog

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/agent/events"
	"berth/specs"
)

func numberedEvent(n uint64) *specs.Event {
	return &specs.Event{Time: time.Unix(int64(n), 0), Kind: specs.MACSpoof, Parent: "eth1", LeftOut: n}
}

// numbersIn returns the numbers of the events in a file.
func numbersIn(t *testing.T, path string) (all []uint64) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var e specs.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%s: %v in %q", path, err, lines.Text())
		}
		all = append(all, e.LeftOut)
	}
	return all
}

func writeEvents(t *testing.T, f *File, from, to uint64) {
	t.Helper()
	for n := from; n <= to; n++ {
		if err := f.Write(numberedEvent(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func wantNumbers(t *testing.T, path string, want ...uint64) {
	t.Helper()
	got := numbersIn(t, path)
	if len(got) != len(want) {
		t.Fatalf("%s has %v, want %v", filepath.Base(path), got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s has %v, want %v", filepath.Base(path), got, want)
		}
	}
}

func TestFileIsRotated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	line, err := json.Marshal(numberedEvent(1))
	if err != nil {
		t.Fatal(err)
	}
	f := NewFile(path, int64(2*(len(line)+1)), 2)
	writeEvents(t, f, 1, 9)
	wantNumbers(t, path, 9)
	wantNumbers(t, path+".1", 7, 8)
	wantNumbers(t, path+".2", 5, 6)
	if _, err := os.Lstat(path + ".3"); !os.IsNotExist(err) {
		t.Errorf("a third full file: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	again := NewFile(path, int64(2*(len(line)+1)), 2)
	writeEvents(t, again, 0, 1) // continues after the first
	wantNumbers(t, path, 1)
	wantNumbers(t, path+".1", 9, 0)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("mode %v, %v: others may read it", info.Mode(), err)
	}
}

func TestFileWithoutFullOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	writeEvents(t, NewFile(path, 1, 0), 1, 3)
	wantNumbers(t, path, 3)
}

func TestRemovedFileIsCreatedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := NewFile(path, 1<<20, 2)
	writeEvents(t, f, 1, 2)
	if err := os.Rename(path, path+".moved"); err != nil { // logrotate
		t.Fatal(err)
	}
	writeEvents(t, f, 3, 3)
	wantNumbers(t, path+".moved", 1, 2)
	wantNumbers(t, path, 3)
}

// A power loss can leave a file that ends in the middle of a line, or in bytes that
// were never written: the next event is on a line of its own.
func TestAnEventAfterATornLineIsWhole(t *testing.T) {
	for name, end := range map[string]string{"half a line": `{"time":"20`, "zeros": "\x00\x00\x00", "whole": ""} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events")
			first := NewFile(path, 1<<20, 1)
			writeEvents(t, first, 1, 2)
			if err := first.Close(); err != nil {
				t.Fatal(err)
			}
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, append(whole, end...), 0o640); err != nil {
				t.Fatal(err)
			}
			second := NewFile(path, 1<<20, 1)
			defer second.Close()
			writeEvents(t, second, 3, 4)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			after, kept := strings.CutPrefix(string(text), string(whole)+end)
			if !kept {
				t.Fatalf("the file has lost its beginning:\n%s", text)
			}
			after, apart := strings.CutPrefix(after, "\n")
			if apart != (end != "") {
				t.Errorf("after %q comes %q", end, after)
			}
			rest := filepath.Join(t.TempDir(), "rest")
			if err := os.WriteFile(rest, []byte(after), 0o600); err != nil {
				t.Fatal(err)
			}
			wantNumbers(t, rest, 3, 4)
		})
	}
}

func TestFileFollowsNoSymbolicLink(t *testing.T) {
	dir := t.TempDir()
	target, path := filepath.Join(dir, "target"), filepath.Join(dir, "events.jsonl")
	if err := os.WriteFile(target, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	if err := NewFile(path, 1<<20, 1).Write(numberedEvent(1)); err == nil {
		t.Error("it writes through a symbolic link")
	}
	if text, _ := os.ReadFile(target); string(text) != "precious" {
		t.Errorf("the target has %q", text)
	}
	if err := NewFile(filepath.Join(dir, "none", "events.jsonl"), 1<<20, 1).Write(numberedEvent(1)); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("in a directory that does not exist: %v", err)
	}
}

// TestFollowWritesAll requires that all events until the end are written, and the file is closed.
func TestFollowWritesAll(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	ring := events.NewRing(events.Kept)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		Follow(ctx, ring, NewFile(path, 1<<20, 1), func(error) {})
	}()
	for n := range uint64(1000) {
		ring.Add(*numberedEvent(n))
	}
	cancel()
	<-done
	if got := numbersIn(t, path); len(got) != 1000 || got[999] != 999 {
		t.Errorf("%d events in the file, want 1000", len(got))
	}
}

// TestFailedRotationLosesNothing requires that a rotation that fails repeatedly loses no full file.
func TestFailedRotationLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "events.jsonl")
	f := NewFile(path, 1, 3)
	writeEvents(t, f, 1, 4)
	for _, name := range []string{path, path + ".1"} { // so that the last step fails
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if err := f.rotateFiles(); err == nil {
			t.Fatal("it moves a file that is not there")
		}
	}
	wantNumbers(t, path+".2", 2)
	wantNumbers(t, path+".3", 1)
}
