package daemon

import (
	"testing"

	"berth/specs"
)

// step is an endpoint's traffic since the last check.
type step struct{ unicast, broadcast, multicast, local, received uint64 }

// intervalsUntilFinding returns the check at which an endpoint is reported as unanswered, or -1 if never,
// and how often it is reported.
func intervalsUntilFinding(t *testing.T, steps []step) (at, times int) {
	t.Helper()
	w := &answers{byKey: make(map[string]*asking)}
	var c specs.Counters
	at = -1
	for i, s := range steps {
		c.Transmit.External.Unicast.Packets += s.unicast
		c.Transmit.External.Broadcast.Packets += s.broadcast
		c.Transmit.External.Multicast.Packets += s.multicast
		c.Transmit.Local.Unicast.Packets += s.local
		c.Receive.External.Unicast.Packets += s.received
		if w.isUnanswered("web", 1, &c) {
			at, times = i, times+1
		}
	}
	return at, times
}

func repeatStep(s step, n int) (all []step) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestIsUnanswered(t *testing.T) {
	arp := step{broadcast: 3}
	for name, c := range map[string]struct {
		steps []step
		at    int
	}{
		"asks in vain":                  {repeatStep(arp, 20), askedIntervals},
		"asks in vain with pauses":      {append(append(repeatStep(arp, 3), repeatStep(step{}, 10)...), repeatStep(arp, 3)...), 3 + 10 + 1},
		"sends in vain":                 {repeatStep(step{unicast: 10}, 20), askedIntervals},
		"idle":                          {repeatStep(step{}, 50), -1},
		"just started":                  {repeatStep(step{unicast: 1000, broadcast: 10}, askedIntervals), -1},
		"multicast only":                {repeatStep(step{multicast: 100}, 50), -1},
		"siblings only":                 {repeatStep(step{local: 100}, 50), -1},
		"announces itself now and then": {repeatStep(step{broadcast: 1, multicast: 5}, 50), -1},
		"answered at first":             {append([]step{{unicast: 1, received: 1}}, repeatStep(arp, 50)...), -1},
		"answered in time":              {append(append(repeatStep(arp, askedIntervals), step{received: 1}), repeatStep(arp, 50)...), -1},
	} {
		at, times := intervalsUntilFinding(t, c.steps)
		if at != c.at || at >= 0 && times != 1 {
			t.Errorf("%s: told at look %d, %d times; want %d, once", name, at, times, c.at)
		}
	}
}

func TestForgetMissingEndpoints(t *testing.T) {
	w := &answers{byKey: make(map[string]*asking)}
	w.isUnanswered("web", 1, new(specs.Counters))
	w.isUnanswered("db", 1, new(specs.Counters))
	w.forgetMissing(map[string]bool{"db": true})
	if len(w.byKey) != 1 || w.byKey["db"] == nil {
		t.Errorf("remembers %v, want db alone", w.byKey)
	}
}
