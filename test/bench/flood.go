package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A flood sends small datagrams from one place to a socket in another that no process
// reads, so that it measures the path only.
type flood struct {
	from, sink int
	to         place
}

func newFlood(from, to place) (*flood, error) {
	sink, err := to.socket(portDiscard)
	if err != nil {
		return nil, err
	}
	client, err := from.socket(0)
	if err != nil {
		return nil, errors.Join(err, unix.Close(sink))
	}
	return &flood{client, sink, to}, unix.Connect(client, to.at(portDiscard))
}

func (f *flood) close() error { return errors.Join(unix.Close(f.from), unix.Close(f.sink)) }

// burst is the number of datagrams that are timed together, small enough that most
// bursts are not interrupted.
const burst = 256

// rate sends for a while. It returns the datagrams per second of the fastest burst, and
// the number of datagrams that arrived.
func (f *flood) rate(slice time.Duration) (perSecond float64, arrived uint64, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := f.to.received()
	if err != nil {
		return 0, 0, err
	}
	payload := make([]byte, 18) // a frame of 60 bytes, the least that Ethernet has
	sent, least := uint64(0), slice
	for begin := time.Now(); time.Since(begin) < slice; sent += burst {
		start := time.Now()
		for range burst {
			if _, err := unix.Write(f.from, payload); err != nil {
				return 0, 0, fmt.Errorf("flood: %w", err)
			}
		}
		least = min(least, time.Since(start))
	}
	after, err := f.to.received()
	// The interface also receives broadcasts of other machines.
	if arrived = min(after-before, sent); err == nil && arrived < sent-sent/100 {
		err = fmt.Errorf("flood: %d of %d arrived", arrived, sent)
	}
	return burst / least.Seconds(), arrived, err
}

// received returns the number of frames that the interfaces of a place have received,
// without its loopback.
func (p place) received() (sum uint64, err error) {
	err = p.within(func() error {
		text, err := os.ReadFile("/proc/thread-self/net/dev")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			name, counts, ok := strings.Cut(line, ":")
			fields := strings.Fields(counts) // bytes, packets, …
			if !ok || strings.TrimSpace(name) == "lo" || len(fields) < 2 {
				continue
			}
			n, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				return fmt.Errorf("net/dev: %w in %q", err, line)
			}
			sum += n
		}
		return nil
	})
	return sum, err
}
