package metrics

import (
	"time"

	"berth/specs"
)

// Snapshot is all that one scrape shows. A snapshot may be filled again.
type Snapshot struct {
	Rows            []Row   // in the order of their endpoints' series
	Series          []Range // of rows; one range is one series, and those of no range are not shown
	LeftOut         int     // endpoints that have no series, because of the bound
	Violations      map[Violation]specs.Broken
	Parents         []specs.ParentStatus
	Maps            []MapUse
	EventsLost      uint64
	EventsLeftOut   uint64        // that the rate limits held back
	UnknownOverflow uint64        // times that an unknown MAC found no room
	Reading         time.Duration // how long reading maps and records took
}

// Row is one run of an endpoint with its counts.
type Row struct {
	*Endpoint
	Counters specs.Counters
}

// Range is rows From to To-1. The first of them is the newest run.
type Range struct{ From, To int32 }

// Violation is what violations are counted by.
type Violation struct {
	Kind            specs.Kind
	Parent, Network string // Network "": the sender is unknown or its network was defined in place
}

// MapUse is how full a map of the datapath is.
type MapUse struct {
	Name              string
	Entries, Capacity int
}

// Total adds up the runs of one series.
func (s *Snapshot) Total(r Range) specs.Counters {
	sum := s.Rows[r.From].Counters
	for i := r.From + 1; i < r.To; i++ {
		sum = sum.Plus(s.Rows[i].Counters)
	}
	return sum
}

// EveryViolation returns the violations of each kind, parent and network that
// there is, 0 where there was none, so that a series is there before the first.
func (s *Snapshot) EveryViolation() map[Violation]specs.Broken {
	all := make(map[Violation]specs.Broken)
	for _, kind := range specs.Kinds() {
		for _, p := range s.Parents {
			all[Violation{kind, p.Name, ""}] = specs.Broken{}
			for _, network := range p.Networks {
				all[Violation{kind, p.Name, network}] = specs.Broken{}
			}
		}
	}
	for v, n := range s.Violations {
		all[v] = all[v].Plus(n)
	}
	return all
}
