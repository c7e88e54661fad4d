package eventlog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/agent/events"
	"berth/internal/testnet"
)

// TestAFullDiskTearsNoLine follows a ring into a file on a disk that fills up and gets room
// again: every event is in the file once, each on its own line.
func TestAFullDiskTearsNoLine(t *testing.T) {
	testnet.Need(t, testnet.Root)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=32k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	path, filler := filepath.Join(disk, "events.jsonl"), filepath.Join(disk, "filler")
	ring := events.NewRing(events.Kept)
	ctx, cancel := context.WithCancel(t.Context())
	done, full := make(chan struct{}), new(atomic.Bool)
	go func() {
		defer close(done)
		Follow(ctx, ring, NewFile(path, 1<<20, 1), func(err error) { full.Store(errors.Is(err, unix.ENOSPC)) })
	}()
	if err := os.WriteFile(filler, make([]byte, 28<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	var want []uint64
	for n := uint64(0); !full.Load(); n++ { // with a margin in which the disk is full
		ring.Add(*numberedEvent(n))
		want = append(want, n)
		if n > 10000 {
			t.Fatal("the disk never fills up")
		}
		time.Sleep(100 * time.Microsecond)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	testnet.Eventually(t, "events are written again", func() bool { return !full.Load() })
	ring.Add(*numberedEvent(77777))
	cancel()
	<-done
	wantNumbers(t, path, append(want, 77777)...)
}

// TestAnEventsFileIsForItsGroup creates a file under the umask of the unit.
func TestAnEventsFileIsForItsGroup(t *testing.T) {
	defer unix.Umask(unix.Umask(0o077))
	path := filepath.Join(t.TempDir(), "events.jsonl")
	writeEvents(t, NewFile(path, 1<<20, 2), 1, 1)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want 0640", info.Mode(), err)
	}
}
