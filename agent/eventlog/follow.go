package eventlog

import (
	"context"
	"errors"
	"time"

	"berth/agent/events"
	"berth/specs"
)

// A Log is a destination of events. Its methods are called by one goroutine.
type Log interface {
	Write(*specs.Event) error
	Close() error
}

// ErrMissed is reported if events came faster than they could be written, so that some are
// missing.
var ErrMissed = errors.New("events came faster than they could be written; some are missing")

// batch is the number of events copied out of the ring at a time.
const batch = 256

// retryPause is the pause after an event that could not be written. Meanwhile the ring
// keeps new ones.
const retryPause = time.Second

// Follow writes the events of a ring until ctx is done, including those that arrived by then,
// and closes the log. It retries an event that cannot be written. It calls report with the
// error, with nil once events are written again, and with [ErrMissed] if the ring dropped
// events meanwhile. It delays no other reader of the ring.
func Follow(ctx context.Context, ring *events.Ring, to Log, report func(error)) {
	f := follower{to: to, report: report}
	defer func() {
		if err := to.Close(); err != nil {
			report(err)
		}
	}()
	for {
		more, whole := f.writeNew(ring)
		var retry <-chan time.Time
		if !whole {
			more, retry = nil, time.After(retryPause)
		}
		select {
		case <-more:
		case <-retry:
		case <-ctx.Done():
			f.writeNew(ring)
			return
		}
	}
}

type follower struct {
	to      Log
	report  func(error)
	from    uint64
	pending []specs.Event // taken from the ring and not written yet
	failed  bool          // the last event could not be written
}

// writeNew writes the events in the ring. It reports false if one could not be written.
func (f *follower) writeNew(ring *events.Ring) (more <-chan struct{}, whole bool) {
	for {
		if !f.writePending() {
			return nil, false
		}
		list, next, lost, more := ring.Since(f.from, batch)
		if lost && f.from > 0 {
			f.failed = true
			f.report(ErrMissed)
		}
		f.from, f.pending = next, list
		if len(list) == 0 {
			return more, true
		}
	}
}

// writePending writes the pending events until one fails.
func (f *follower) writePending() bool {
	for len(f.pending) > 0 {
		if err := f.to.Write(&f.pending[0]); err != nil {
			f.failed = true
			f.report(err)
			return false
		}
		f.pending = f.pending[1:]
		if f.failed {
			f.failed = false
			f.report(nil)
		}
	}
	return true
}
