package states

import (
	"flag"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

var (
	duration = flag.Duration("states.for", 0, "how long random actions are done (default a minute, 15 s with -short)")
	seedFlag = flag.Uint64("states.seed", 0, "the seed of the random actions (default the clock)")
)

// TestRandomLives runs random actions and compares with the model after each round. The
// order of events within a round depends on the machine too, so a seed repeats the
// actions, not their interleaving.
func TestRandomLives(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Macvlan)
	live(t, (*world).parentActs)
}

// TestRandomLivesWithClockSteps is TestRandomLives with clock steps of up to an hour, on
// a machine whose clock may be set.
func TestRandomLivesWithClockSteps(t *testing.T) {
	testnet.Need(t, testnet.Macvlan, testnet.Clock)
	live(t, func(w *world, n int) {
		w.parentActs(n)
		if n%5 == 4 {
			w.stepClock()
		}
	})
}

// live runs random actions for the time of the flag -states.for, and calls also after each
// round.
func live(t *testing.T, also func(w *world, round int)) {
	limit, seed := *duration, *seedFlag
	switch {
	case limit == 0 && testing.Short():
		limit = 15 * time.Second
	case limit == 0:
		limit = time.Minute
	}
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d, for %v", seed, limit)
	w := newWorld(t, seed)
	t.Cleanup(func() {
		if t.Failed() {
			for _, line := range w.log[max(0, len(w.log)-60):] {
				t.Log(line)
			}
		}
	})
	t.Cleanup(func() { w.stopAgent(syscall.SIGKILL) })
	rounds := 0
	for end := time.Now().Add(limit); time.Now().Before(end) && !t.Failed(); rounds++ {
		w.round()
		w.checkModel()
		switch {
		case rounds%7 == 6:
			w.checkCounted()
		case rounds%11 == 10:
			w.checkLeases()
		}
		w.networkActs(rounds)
		also(w, rounds)
	}
	if !t.Failed() {
		w.checkNothingLeft()
	}
	t.Logf("%d rounds, %d containers, %d lines of log", rounds, w.serial, len(w.log))
}

// bindTo returns a dialer's control function that binds the socket to an
// interface.
func bindTo(ifname string) func(string, string, syscall.RawConn) error {
	return func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), ifname) })
		if controlErr != nil {
			return controlErr
		}
		return err
	}
}
