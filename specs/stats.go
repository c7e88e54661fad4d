package specs

import "time"

// Rate is a [Count] per second.
type Rate struct {
	Packets float64 `json:"packets"`
	Bytes   float64 `json:"bytes"`
}

// Plus returns the sum of two rates.
func (r Rate) Plus(s Rate) Rate {
	return Rate{Packets: r.Packets + s.Packets, Bytes: r.Bytes + s.Bytes}
}

// CastRates are the rates of [Casts].
type CastRates struct {
	Unicast   Rate `json:"unicast"`
	Multicast Rate `json:"multicast"`
	Broadcast Rate `json:"broadcast"`
}

// Total returns the sum of the rates of all casts.
func (c CastRates) Total() Rate { return c.Unicast.Plus(c.Multicast).Plus(c.Broadcast) }

// TrafficRates are the rates of a [Traffic].
type TrafficRates struct {
	Local    CastRates `json:"local"`
	External CastRates `json:"external"`
}

// Total returns the sum of the rates of both scopes.
func (t TrafficRates) Total() Rate { return t.Local.Total().Plus(t.External.Total()) }

// Rates are the rates of [Counters].
type Rates struct {
	Receive  TrafficRates `json:"receive"`
	Transmit TrafficRates `json:"transmit"`
}

// Stats is one endpoint over one interval: a line of `berth stats --json`.
// Its schema is specs/schema/stats.json.
type Stats struct {
	Time          time.Time       `json:"time"`     // the end of the interval
	Interval      float64         `json:"interval"` // seconds over which the rates are averaged; 0 if there is none yet
	ContainerID   string          `json:"container_id"`
	Name          string          `json:"name,omitempty"`
	Pod           string          `json:"pod,omitempty"`
	Namespace     string          `json:"namespace,omitempty"` // the Kubernetes namespace
	Network       string          `json:"network"`
	EngineNetwork *EngineNetwork  `json:"engine_network,omitempty"` // as for an endpoint
	Interface     string          `json:"interface"`
	Parent        string          `json:"parent"`
	VLAN          int             `json:"vlan,omitempty"`
	MAC           MAC             `json:"mac"`
	Origin        Origin          `json:"origin"`
	Phase         Phase           `json:"phase"`
	Counted       bool            `json:"counted"`
	Totals        StatsTotals     `json:"totals"` // since the attachment
	Rates         *StatsRates     `json:"rates,omitempty"`
	Split         StatsSplit      `json:"split"`
	GroupPackets  *uint64         `json:"group_packets,omitempty"` // as for an endpoint
	Violations    map[Kind]uint64 `json:"violations,omitempty"`    // by kind, if not 0
	Dropped       map[Kind]uint64 `json:"dropped,omitempty"`       // of these, the dropped frames
}

// StatsTotals are an endpoint's counts.
type StatsTotals struct {
	Receive  Count `json:"receive"`
	Transmit Count `json:"transmit"`
}

// StatsRates are an endpoint's rates.
type StatsRates struct {
	Receive  Rate `json:"receive"`
	Transmit Rate `json:"transmit"`
}

// StatsSplit splits totals and rates by the other end and by the destination
// address of the frames.
type StatsSplit struct {
	Totals Counters `json:"totals"`
	Rates  *Rates   `json:"rates,omitempty"`
}
