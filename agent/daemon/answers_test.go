package daemon

import (
	"testing"

	"berth/specs"
)

// step is an endpoint's traffic since the last check.
type step struct{ unicast, broadcast, multicast, local, received uint64 }

// looks returns the check at which an endpoint is reported as unanswered, or -1 if never,
// and how often it is reported.
func looks(t *testing.T, steps []step) (at, times int) {
	t.Helper()
	w := &answers{of: make(map[string]*asking)}
	var c specs.Counters
	at = -1
	for i, s := range steps {
		c.Transmit.External.Unicast.Packets += s.unicast
		c.Transmit.External.Broadcast.Packets += s.broadcast
		c.Transmit.External.Multicast.Packets += s.multicast
		c.Transmit.Local.Unicast.Packets += s.local
		c.Receive.External.Unicast.Packets += s.received
		if w.look("web", 1, &c) {
			at, times = i, times+1
		}
	}
	return at, times
}

func repeat(s step, n int) (all []step) {
	for range n {
		all = append(all, s)
	}
	return all
}

func TestAnswers(t *testing.T) {
	arp := step{broadcast: 3}
	for name, c := range map[string]struct {
		steps []step
		at    int
	}{
		"asks in vain":                  {repeat(arp, 20), askedLooks},
		"asks in vain with pauses":      {append(append(repeat(arp, 3), repeat(step{}, 10)...), repeat(arp, 3)...), 3 + 10 + 1},
		"sends in vain":                 {repeat(step{unicast: 10}, 20), askedLooks},
		"idle":                          {repeat(step{}, 50), -1},
		"just started":                  {repeat(step{unicast: 1000, broadcast: 10}, askedLooks), -1},
		"multicast only":                {repeat(step{multicast: 100}, 50), -1},
		"siblings only":                 {repeat(step{local: 100}, 50), -1},
		"announces itself now and then": {repeat(step{broadcast: 1, multicast: 5}, 50), -1},
		"answered at first":             {append([]step{{unicast: 1, received: 1}}, repeat(arp, 50)...), -1},
		"answered in time":              {append(append(repeat(arp, askedLooks), step{received: 1}), repeat(arp, 50)...), -1},
	} {
		at, times := looks(t, c.steps)
		if at != c.at || at >= 0 && times != 1 {
			t.Errorf("%s: told at look %d, %d times; want %d, once", name, at, times, c.at)
		}
	}
}

func TestAnswersForgets(t *testing.T) {
	w := &answers{of: make(map[string]*asking)}
	w.look("web", 1, new(specs.Counters))
	w.look("db", 1, new(specs.Counters))
	w.forget(map[string]bool{"db": true})
	if len(w.of) != 1 || w.of["db"] == nil {
		t.Errorf("remembers %v, want db alone", w.of)
	}
}
