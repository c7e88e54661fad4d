package metrics

import (
	"time"

	"berth/specs"
)

// Snapshot is the content of one scrape. It can be reused for the next one.
type Snapshot struct {
	Rows            []Row   // in the order of their endpoints' series
	Series          []Range // ranges of rows; each range is one series, and rows outside all ranges are not shown
	LeftOut         int     // endpoints without series, because of the bound
	Violations      map[Violation]specs.Broken
	Leases          []Lease           // of live endpoints, by a DHCP server
	DHCPMessages    map[string]uint64 // by type
	Cluster         *Cluster          // nil if the machine is no node of a cluster
	Parents         []specs.ParentStatus
	Maps            []MapUse
	EventsLost      uint64
	EventsLeftOut   uint64        // held back by the rate limits
	UnknownOverflow uint64        // times that the map had no room for an unknown MAC
	Reading         time.Duration // time taken to read maps and records
}

// Row is one run of an endpoint with its counts.
type Row struct {
	*Endpoint
	Counters specs.Counters
}

// Lease is the DHCP lease of one family of an endpoint.
type Lease struct {
	*Endpoint
	Family  string  // "ipv4" or "ipv6"
	Expires float64 // seconds since 1970; infinite if it never ends, 0 if it was lost
}

// Cluster are the numbers of this machine as a node of a cluster.
type Cluster struct {
	Contact                              float64 // of etcd's last answer, in seconds since 1970; 0 if there was none
	Latency                              time.Duration
	Failures, Claims, Returns, Conflicts uint64
	Pools                                []Pool
}

// Pool is this node's part of a pool that nodes share.
type Pool struct {
	Domain       string
	Blocks, Free int
}

// Range is rows From to To-1. The first of them is the newest run.
type Range struct{ From, To int32 }

// Violation is the key by which violations are counted.
type Violation struct {
	Kind            specs.Kind
	Parent, Network string // Network is "" if the sender is unknown or its network was defined in place
}

// MapUse is the fill level of a datapath map.
type MapUse struct {
	Name              string
	Entries, Capacity int
}

// Total returns the sum of the runs of one series.
func (s *Snapshot) Total(r Range) specs.Counters {
	sum := s.Rows[r.From].Counters
	for i := r.From + 1; i < r.To; i++ {
		sum = sum.Plus(s.Rows[i].Counters)
	}
	return sum
}

// EveryViolation returns the count of each existing combination of kind, parent and
// network, 0 if there was none, so that a series exists before its first violation.
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
