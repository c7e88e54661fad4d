package daemon

import (
	"context"
	"errors"
	"os"
	"time"

	"berth/bpf"
)

// readEvents starts to read the datapath's events, until the datapath is closed. The kernel
// keeps events while no agent reads, so some may be pending, and their parents' names come
// from the status. So the first status is stored before.
func (a *Agent) readEvents() { go a.pumpEvents(a.reader) }

// eventReader reads the datapath's events, as [bpf.Reader] does.
type eventReader interface {
	Read() (bpf.RawEvent, error)
}

// readAgain is the pause after a failed read.
const readAgain = time.Second

// pumpEvents turns the datapath's records into events until the reader is closed. If reading
// fails, it retries.
func (a *Agent) pumpEvents(reader eventReader) {
	const part = "events of the datapath"
	for {
		raw, err := reader.Read()
		switch {
		case errors.Is(err, os.ErrClosed):
			return
		case errors.Is(err, bpf.ErrRecord):
			a.log.Warn("event dropped: its record cannot be decoded", "error", err)
		case err != nil:
			a.troubles.setProblem(part, err)
			time.Sleep(readAgain)
		default:
			a.troubles.setProblem(part, nil)
			a.emitEvent(eventOf(raw, a.recordOfSlot(raw.Sender), a.recordOfSlot(raw.Owner), a.recordOfSlot(raw.Receiver),
				a.parentName(raw.ParentIndex)))
		}
	}
}

// recordOfSlot returns the record that holds a slot, or nil if none does.
func (a *Agent) recordOfSlot(slot uint32) *record {
	if slot == 0 {
		return nil
	}
	now, err := a.records.currentReading(context.Background())
	if err != nil {
		a.log.Warn("event has no container names: the records cannot be read", "error", err)
		return nil
	}
	return now.recordOfSlot(slot)
}

// parentName returns the name of a parent, or "" if it is gone.
func (a *Agent) parentName(index int) string {
	for _, p := range a.status.Load().Parents {
		if p.Index == index {
			return p.Name
		}
	}
	return ""
}
