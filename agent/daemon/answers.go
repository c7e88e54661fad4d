package daemon

import (
	"context"
	"errors"
	"fmt"

	"berth/bpf"
	"berth/specs"
)

// When an endpoint is taken for one that the LAN does not answer: it has asked
// at so many looks, half a minute apart, so much.
const (
	askedLooks = 4
	askedLeast = 3 // frames
)

// answers knows who has asked the LAN for something and got no answer. It is of
// one goroutine.
type answers struct {
	of map[string]*asking // by the attachment's key
}

// asking is one endpoint that has received no unicast from the LAN.
type asking struct {
	created int64
	sent    uint64 // at the last look
	looks   int    // at which it had asked
	told    bool
}

// look judges one endpoint by its counters, and reports whether it is to be
// told now that nobody answers.
//
// What it has sent to one machine or to all (ARP requests, where it does not
// even learn whom to send to) asks; multicast does not. An answer is any
// unicast that it received.
func (w *answers) look(key string, created int64, c *specs.Counters) bool {
	if c.Receive.External.Unicast.Packets > 0 {
		delete(w.of, key)
		return false
	}
	sent := c.Transmit.External.Unicast.Packets + c.Transmit.External.Broadcast.Packets
	a := w.of[key]
	if a == nil || a.created != created {
		w.of[key] = &asking{created: created, sent: sent}
		return false
	}
	if sent >= a.sent+askedLeast {
		a.looks++
	}
	a.sent = sent
	if a.told || a.looks < askedLooks {
		return false
	}
	a.told = true
	return true
}

// forget lets go of those that are no longer there.
func (w *answers) forget(there map[string]bool) {
	for key := range w.of {
		if !there[key] {
			delete(w.of, key)
		}
	}
}

// seekAnswers looks at all endpoints.
func (a *Agent) seekAnswers(ctx context.Context, w *answers) error {
	now, err := a.records.current(ctx)
	if err != nil {
		return err
	}
	there, silent := make(map[string]bool), make(map[*record]string)
	err = a.maps.use(func(maps *bpf.Maps) error {
		if maps == nil {
			return nil
		}
		return maps.EachCounters(uint32(len(now.at)), func(slot uint32, c *specs.Counters) {
			r := now.behind(slot)
			if r == nil || r.phase != specs.PhaseAttached {
				return
			}
			there[r.key] = true
			if w.look(r.key, r.Created, c) {
				t := &c.Transmit.External
				silent[r] = fmt.Sprintf("has sent %d frames to machines on the LAN and %d to all, and received none for itself",
					t.Unicast.Packets, t.Broadcast.Packets)
			}
		})
	})
	w.forget(there)
	errs := []error{err}
	for r, detail := range silent {
		errs = append(errs, a.find(ctx, r, []finding{{specs.Unanswered, detail}}, true))
	}
	return errors.Join(errs...)
}
