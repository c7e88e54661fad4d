package keep

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// TestClockWatch: a step of the clock ends the wait, as the end of a suspension does, which the steps
// of test/system have.
func TestClockWatch(t *testing.T) {
	testnet.Need(t, testnet.Clock)
	clock, err := watchClock()
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan error)
	go func() {
		seen <- clock.wait()
		seen <- clock.wait()
	}()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		t.Fatal(err)
	}
	now.Sec++
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &now); err != nil {
		t.Fatal(err)
	}
	if err := <-seen; err != nil {
		t.Error(err)
	}
	if err := clock.Close(); err != nil {
		t.Error(err)
	}
	if err := <-seen; !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
