package daemon

import (
	"context"
	"errors"
	"fmt"

	"berth/bpf"
	"berth/specs"
)

// An endpoint counts as unanswered after it sent at least askedLeast frames in each of
// askedIntervals half-minute intervals and received no unicast frame.
const (
	askedIntervals = 4
	askedLeast     = 3 // frames
)

// answers tracks the endpoints that ask the LAN and get no answer. It is used by one
// goroutine.
type answers struct {
	byKey map[string]*asking // by the attachment's key
}

// asking is the state of an endpoint that has received no unicast frame from the LAN.
type asking struct {
	created   int64
	sent      uint64 // at the previous check
	intervals int    // half-minute intervals in which it sent at least askedLeast frames
	reported  bool
}

// isUnanswered checks one endpoint's counters, and reports whether a finding is due now.
//
// Unicast and broadcast frames that it sent count as asking (broadcast for ARP requests, as
// without an answer it sends nothing else); multicast does not. Any received unicast frame
// is an answer.
func (w *answers) isUnanswered(key string, created int64, c *specs.Counters) bool {
	if c.Receive.External.Unicast.Packets > 0 {
		delete(w.byKey, key)
		return false
	}
	sent := c.Transmit.External.Unicast.Packets + c.Transmit.External.Broadcast.Packets
	a := w.byKey[key]
	if a == nil || a.created != created {
		w.byKey[key] = &asking{created: created, sent: sent}
		return false
	}
	if sent >= a.sent+askedLeast {
		a.intervals++
	}
	a.sent = sent
	if a.reported || a.intervals < askedIntervals {
		return false
	}
	a.reported = true
	return true
}

// forgetMissing deletes the state of endpoints that no longer exist.
func (w *answers) forgetMissing(there map[string]bool) {
	for key := range w.byKey {
		if !there[key] {
			delete(w.byKey, key)
		}
	}
}

// reportUnanswered checks all endpoints.
func (a *Agent) reportUnanswered(ctx context.Context, w *answers) error {
	now, err := a.records.currentReading(ctx)
	if err != nil {
		return err
	}
	there, silent := make(map[string]bool), make(map[*record]string)
	err = a.maps.useMaps(func(maps *bpf.Maps) error {
		if maps == nil {
			return nil
		}
		err := maps.EachCounters(uint32(len(now.bySlot)), func(slot uint32, c *specs.Counters) {
			r := now.recordOfSlot(slot)
			if r == nil || r.phase != specs.PhaseAttached {
				return
			}
			there[r.key] = true
			if w.isUnanswered(r.key, r.Created, c) {
				t := &c.Transmit.External
				silent[r] = fmt.Sprintf("sent %d unicast and %d broadcast frames to the LAN and received no unicast frame",
					t.Unicast.Packets, t.Broadcast.Packets)
			}
		})
		return errors.Join(err, dropAnsweredBeside(maps, now.all, silent))
	})
	w.forgetMissing(there)
	errs := []error{err}
	for r, detail := range silent {
		errs = append(errs, a.reportFindings(ctx, r, []finding{{specs.Unanswered, detail}}, true))
	}
	return errors.Join(errs...)
}

// dropAnsweredBeside deletes the records whose namespace has another interface on the parent that was
// answered: the kernel may answer an ARP request, or send, by one interface and receive by the other.
func dropAnsweredBeside(maps *bpf.Maps, all []*record, silent map[*record]string) error {
	for r := range silent {
		for _, other := range all {
			beside := other != r && other.isLive() && other.slot != 0 && other.cookie != 0 &&
				other.cookie == r.cookie && other.parentIndex == r.parentIndex
			if !beside {
				continue
			}
			c, err := maps.Counters(other.slot)
			if err != nil {
				return err
			}
			if c.Receive.External.Unicast.Packets > 0 {
				delete(silent, r)
			}
		}
	}
	return nil
}
