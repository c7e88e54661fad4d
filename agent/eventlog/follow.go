package eventlog

import (
	"context"
	"log/slog"

	"berth/agent/events"
	"berth/specs"
)

// A Log is where events are written. Its methods are called by one goroutine.
type Log interface {
	Write(*specs.Event) error
	Close() error
}

// batch is how many events are copied out of the ring at a time.
const batch = 256

// Follow writes the events of a ring until ctx is done, those that have come by
// then as well, and closes the log. Errors are said in words, each text once as
// long as it comes back: nobody else is held up by them.
func Follow(ctx context.Context, ring *events.Ring, name string, to Log, log *slog.Logger) {
	f := follower{name: name, to: to, log: log}
	defer func() { f.say(to.Close()) }()
	for {
		more := f.write(ring)
		select {
		case <-more:
		case <-ctx.Done():
			f.write(ring)
			return
		}
	}
}

type follower struct {
	name string
	to   Log
	log  *slog.Logger
	from uint64
	said string
}

// write writes what there is.
func (f *follower) write(ring *events.Ring) (more <-chan struct{}) {
	for {
		list, next, lost, more := ring.Since(f.from, batch)
		if lost && f.from > 0 {
			f.log.Warn("events came faster than they could be written; some are missing", "log", f.name)
		}
		f.from = next
		for i := range list {
			f.say(f.to.Write(&list[i]))
		}
		if len(list) == 0 {
			return more
		}
	}
}

func (f *follower) say(err error) {
	switch {
	case err == nil:
		f.said = ""
	case err.Error() != f.said:
		f.said = err.Error()
		f.log.Warn("events are not written", "log", f.name, "error", err)
	}
}
