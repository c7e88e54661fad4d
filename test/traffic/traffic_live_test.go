package traffic

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"berth/test/lab"
)

var bin = filepath.Join(lab.Dir, "bin")

var sites atomic.Int32

func TestMain(m *testing.M) {
	lab.Isolate()
	if err := build(); err != nil {
		fmt.Fprintln(os.Stderr, "traffic:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// build builds the programs of the current tree.
func build() error {
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	for _, what := range [][]string{{"./cmd/berthd"}, {"-tags", "hook", "./cmd/berth-hook"}} {
		cmd := exec.Command("go", slices.Concat([]string{"build", "-trimpath", "-o", bin + "/"}, what)...)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if _, err := lab.Output(cmd); err != nil {
			return err
		}
	}
	return nil
}

// TestNoFalseAlarm checks that no legitimate traffic counts as a violation. `make bench
// BENCH='-part alarms'` runs an hour of it.
func TestNoFalseAlarm(t *testing.T) {
	programs, _ := Programs()
	s, err := NewSite(fmt.Sprint("quiet", sites.Add(1)), bin, programs...)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := s.Round(i); err != nil {
			t.Fatal(err)
		}
	}
	s.Settle()
	if err := errors.Join(s.CheckQuiet(t.Context()), s.CheckForged(t.Context())); err != nil {
		t.Error(err)
	}
	if frames, err := s.Seen(t.Context()); err == nil {
		t.Logf("frames of other programs' containers: %v", frames)
	}
	if len(s.LeftOut) > 0 {
		t.Logf("this kernel has no driver for: %v", s.LeftOut)
	}
}
