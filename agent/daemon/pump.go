package daemon

import (
	"context"
	"errors"
	"os"

	"berth/bpf"
)

// readEvents starts to read the datapath's events, until the datapath is closed.
// The kernel keeps them while no agent reads: an event may be there before the
// agent is, and it takes the parents' names from the status. So the first status
// comes before.
func (a *Agent) readEvents() { go a.pump(a.reader) }

// pump turns what the datapath saw into events until the reader is closed.
func (a *Agent) pump(reader *bpf.Reader) {
	for {
		raw, err := reader.Read()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case errors.Is(err, bpf.ErrRecord):
			a.log.Warn("event left out", "error", err)
		case err != nil:
			a.log.Error("no more events", "error", err)
			return
		default:
			a.tell(describe(raw, a.behind(raw.Sender), a.behind(raw.Owner), a.behind(raw.Receiver), a.parentName(raw.ParentIndex)))
		}
	}
}

// behind returns the record that has a slot, nil when none has.
func (a *Agent) behind(slot uint32) *record {
	if slot == 0 {
		return nil
	}
	now, err := a.records.current(context.Background())
	if err != nil {
		a.log.Warn("event without names", "error", err)
		return nil
	}
	return now.behind(slot)
}

// parentName returns the name of a parent, "" when it is gone.
func (a *Agent) parentName(index int) string {
	for _, p := range a.status.Load().Parents {
		if p.Index == index {
			return p.Name
		}
	}
	return ""
}
