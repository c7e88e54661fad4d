package lab

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestDaemonEndsTwice checks that each further end of a daemon that has ended returns at once.
func TestDaemonEndsTwice(t *testing.T) {
	m, err := NewMachine(unique("daemon"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Remove()
	d, err := m.Start(filepath.Join(t.TempDir(), "log"), "sleep", "infinity")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 4)
	go func() {
		ended <- d.Kill()
		ended <- d.Kill()
		ended <- d.Stop()
		ended <- d.Stop()
	}()
	for i, want := range []bool{true, false, false, false} {
		select {
		case err := <-ended:
			if (err == nil) != want || i == 1 && !errors.Is(err, os.ErrProcessDone) {
				t.Errorf("end %d: %v", i+1, err)
			}
		case <-time.After(slowest * patience):
			t.Fatalf("end %d does not return", i+1)
		}
	}
}
