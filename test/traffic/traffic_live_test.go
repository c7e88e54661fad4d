package traffic

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"berth/specs"
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

// alarmsWork checks that two real violations are reported, so that silence means something.
func (s *Site) alarmsWork(t *testing.T) {
	t.Helper()
	c := s.Container("bridge", 1)
	f, err := c.Forger()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Send([6]byte{2, 0, 0x5e, 0, 0x53, 0x66}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.IP("address", "add", "203.0.113.1/32", "dev", c.IfName); err != nil {
		t.Fatal(err)
	}
	err = lab.Eventually(30*time.Second, func() error {
		_, counted, err := s.Alarms(t.Context())
		if err == nil && (counted[specs.MACSpoof] != 1 || counted[specs.AddressDrift] != 1) {
			err = fmt.Errorf("counted %v, want a forged MAC and an address", counted)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
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
	events, counted, err := s.Alarms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		t.Errorf("event %+v", e)
	}
	if len(counted) > 0 {
		t.Errorf("counted %v", counted)
	}
	if n, err := s.Frames(t.Context()); err != nil || n < 1000 {
		t.Errorf("%d frames counted, %v", n, err)
	}
	if err := lab.Eventually(30*time.Second, func() error {
		frames, err := s.Seen(t.Context())
		if err == nil {
			t.Logf("frames of other programs' containers: %v", frames)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
	s.alarmsWork(t)
	if len(s.LeftOut) > 0 {
		t.Logf("this kernel has no driver for: %v", s.LeftOut)
	}
}
