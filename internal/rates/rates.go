// Package rates computes rates per second from the counts of two samples.
//
// [Between] compares two samples.
//
// It is pure arithmetic on the agent's answers: it makes no requests and has no clock. It
// imports berth/specs only.
package rates

import (
	"time"

	"berth/specs"
)

// Sample holds all endpoints at one time.
type Sample struct {
	At        time.Time
	Endpoints []specs.Endpoint
}

// Key identifies one attachment: a container that was started again has the same names as
// before.
type Key struct {
	Container, Interface string
	MAC                  specs.MAC
	Created              int64 // nanoseconds since 1970
}

// KeyOf returns an endpoint's key.
func KeyOf(e *specs.Endpoint) Key {
	return Key{Container: e.ContainerID, Interface: e.Interface, MAC: e.MAC, Created: e.Created.UnixNano()}
}

// Reading is an endpoint with its rates.
type Reading struct {
	specs.Endpoint
	Over  time.Duration  // the interval of the average; 0 if there is no rate yet
	From  specs.Counters // the counts at the beginning of that interval, if there is a rate
	Rates specs.Rates
	Past  bool // whether it had ended by the earlier sample, or before there was one
}

// Between returns the endpoints of the later sample with their rates since the earlier one,
// which may be nil. An endpoint created between the two has counted from 0, and so has one
// whose counters fell, as after `berth agent detach --purge`. There is no rate if the clock
// stood still or went back, if nothing is counted, and for an endpoint that is older than
// the earlier sample but not in it.
func Between(before, now *Sample) []Reading {
	known := make(map[Key]*specs.Endpoint)
	var over time.Duration
	if before != nil {
		over = max(0, now.At.Sub(before.At))
		for i := range before.Endpoints {
			known[KeyOf(&before.Endpoints[i])] = &before.Endpoints[i]
		}
	}
	readings := make([]Reading, len(now.Endpoints))
	for i := range now.Endpoints {
		e := &now.Endpoints[i]
		old := known[KeyOf(e)]
		readings[i] = Reading{Endpoint: *e, Past: isRestarted(old, e, before)}
		from, ok := startCounts(old, e, before)
		if ok && over > 0 {
			readings[i].Over, readings[i].From = over, from
			readings[i].Rates = Of(from, e.Counters, over)
		}
	}
	return readings
}

// Counting removes the rates of live endpoints on parents that are known not to be counted:
// a count of 0 does not mean that nothing was sent.
func Counting(readings []Reading, parents []specs.ParentStatus) []Reading {
	off := make(map[string]bool)
	for _, p := range parents {
		off[p.Name] = p.State != specs.ParentCounting
	}
	for i := range readings {
		if r := &readings[i]; off[r.Parent] && r.Phase != specs.PhaseEnded {
			r.Over, r.From, r.Rates = 0, specs.Counters{}, specs.Rates{}
		}
	}
	return readings
}

// startCounts returns an endpoint's counts at the earlier sample, and whether they are known. old
// is nil if that sample did not have the endpoint.
func startCounts(old, e *specs.Endpoint, before *Sample) (specs.Counters, bool) {
	switch {
	case !e.Counted || before == nil:
		return specs.Counters{}, false
	case old == nil:
		return specs.Counters{}, e.Created.After(before.At)
	case Fell(old.Counters, e.Counters):
		return specs.Counters{}, true
	}
	return old.Counters, true
}

// isRestarted reports whether an endpoint had ended by the earlier sample.
func isRestarted(old, e *specs.Endpoint, before *Sample) bool {
	switch {
	case e.Phase != specs.PhaseEnded:
		return false
	case old != nil:
		return old.Phase == specs.PhaseEnded
	}
	return before == nil || !e.Created.After(before.At)
}

// Fell reports whether any of the counters has fallen.
func Fell(before, now specs.Counters) bool {
	fell := func(a, b specs.Count) bool { return b.Packets < a.Packets || b.Bytes < a.Bytes }
	casts := func(a, b specs.Casts) bool {
		return fell(a.Unicast, b.Unicast) || fell(a.Multicast, b.Multicast) || fell(a.Broadcast, b.Broadcast)
	}
	traffic := func(a, b specs.Traffic) bool { return casts(a.Local, b.Local) || casts(a.External, b.External) }
	return traffic(before.Receive, now.Receive) || traffic(before.Transmit, now.Transmit)
}

// Of returns the rates between two counts that did not fall, over an interval greater than
// 0.
func Of(before, now specs.Counters, over time.Duration) specs.Rates {
	seconds := over.Seconds()
	rate := func(a, b specs.Count) specs.Rate {
		return specs.Rate{Packets: float64(b.Packets-a.Packets) / seconds, Bytes: float64(b.Bytes-a.Bytes) / seconds}
	}
	casts := func(a, b specs.Casts) specs.CastRates {
		return specs.CastRates{
			Unicast:   rate(a.Unicast, b.Unicast),
			Multicast: rate(a.Multicast, b.Multicast),
			Broadcast: rate(a.Broadcast, b.Broadcast),
		}
	}
	traffic := func(a, b specs.Traffic) specs.TrafficRates {
		return specs.TrafficRates{Local: casts(a.Local, b.Local), External: casts(a.External, b.External)}
	}
	return specs.Rates{
		Receive:  traffic(before.Receive, now.Receive),
		Transmit: traffic(before.Transmit, now.Transmit),
	}
}
