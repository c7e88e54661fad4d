package top

import (
	"slices"
	"time"

	"berth/internal/rates"
	"berth/specs"
)

const (
	trailLength = 60               // number of intervals in a sparkline
	eventsKept  = 200              // number of violations kept
	lingering   = 10 * time.Second // time for which an ended endpoint is shown
)

// state holds the agent's answers. It is never changed, only replaced, so that the state of
// a held picture stays.
type state struct {
	at       time.Time // of the last answer
	status   specs.AgentStatus
	sample   *rates.Sample
	readings []rates.Reading
	trails   map[rates.Key]trail
	events   []specs.Event // the oldest first

	lost error         // why the agent does not answer, or nil
	away time.Duration // since its last answer, or since the first request
	from time.Time     // of the first request without an answer
}

// withSample returns the state after an answer.
func (s *state) withSample(at time.Time, status specs.AgentStatus, endpoints []specs.Endpoint) *state {
	now := &rates.Sample{At: at, Endpoints: endpoints}
	next := &state{at: at, status: status, sample: now, events: s.events, trails: make(map[rates.Key]trail)}
	for _, r := range rates.Counting(rates.Between(s.sample, now), status.Parents) {
		if r.Phase == specs.PhaseEnded && at.Sub(r.Ended) > lingering {
			continue
		}
		next.readings = append(next.readings, r)
		key := rates.KeyOf(&r.Endpoint)
		next.trails[key] = s.trails[key].addPoint(pointOf(&r))
	}
	return next
}

// withMiss returns the state after a request without an answer. Earlier answers stay.
func (s *state) withMiss(at time.Time, err error) *state {
	next := *s
	next.lost = err
	if s.lost == nil {
		next.from = s.at
		if s.at.IsZero() {
			next.from = at
		}
	}
	next.away = at.Sub(next.from)
	next.trails = make(map[rates.Key]trail, len(s.trails))
	for key, t := range s.trails {
		next.trails[key] = t.addPoint(point{gap: true})
	}
	return &next
}

// withEvents returns the state after violations.
func (s *state) withEvents(events []specs.Event) *state {
	next := *s
	next.events = slices.Concat(s.events, events)
	next.events = next.events[max(0, len(next.events)-eventsKept):]
	return &next
}

// sums are the total rates of a parent's endpoints: received from the LAN, sent to the LAN,
// and between siblings, which never passes the wire.
type sums struct{ rx, tx, local specs.Rate }

// byParent adds up the rates of the endpoints on each parent. A frame between two of them
// is counted at both ends. The greater of the two sums counts it once, also if only one of
// the two is counted.
func (s *state) byParent() map[string]sums {
	all, received := make(map[string]sums), make(map[string]specs.Rate)
	for i := range s.readings {
		r := &s.readings[i]
		sum := all[r.Parent]
		sum.rx = sum.rx.Plus(r.Rates.Receive.External.Total())
		sum.tx = sum.tx.Plus(r.Rates.Transmit.External.Total())
		sum.local = sum.local.Plus(r.Rates.Transmit.Local.Total())
		all[r.Parent] = sum
		received[r.Parent] = received[r.Parent].Plus(r.Rates.Receive.Local.Total())
	}
	for parent, sum := range all {
		if received[parent].Bytes > sum.local.Bytes {
			sum.local = received[parent]
			all[parent] = sum
		}
	}
	return all
}
