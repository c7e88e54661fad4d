package rates

import (
	"testing"
	"time"

	"berth/specs"
)

var clock = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func countersOf(packets, bytes uint64) specs.Counters {
	return specs.Counters{
		Receive:  specs.Traffic{External: specs.Casts{Unicast: specs.Count{Packets: packets, Bytes: bytes}}},
		Transmit: specs.Traffic{Local: specs.Casts{Broadcast: specs.Count{Packets: packets, Bytes: 2 * bytes}}},
	}
}

func endpointOf(id string, c specs.Counters) specs.Endpoint {
	return specs.Endpoint{
		ContainerID: id, Interface: "net1", Phase: specs.PhaseAttached, Created: clock.Add(-time.Hour),
		Counted: true, Counters: c,
	}
}

func TestRatesBetweenSamples(t *testing.T) {
	old := endpointOf("web", countersOf(10, 1000))
	young := endpointOf("web", countersOf(6, 600))
	young.Created = clock.Add(time.Second)
	uncounted := endpointOf("web", specs.Counters{})
	uncounted.Counted = false
	ended := endpointOf("web", countersOf(30, 3000))
	ended.Phase, ended.Ended = specs.PhaseEnded, clock.Add(time.Second)
	half := endpointOf("web", countersOf(20, 10)) // more packets, fewer bytes
	for name, c := range map[string]struct {
		before         *Sample
		now            specs.Endpoint
		after          time.Duration
		over           time.Duration
		packets, bytes float64
	}{
		"the first sample":       {nil, old, 0, 0, 0, 0},
		"two samples":            {sampleOf(old), endpointOf("web", countersOf(30, 5000)), 2 * time.Second, 2 * time.Second, 10, 2000},
		"nothing new":            {sampleOf(old), old, time.Second, time.Second, 0, 0},
		"no time went by":        {sampleOf(old), endpointOf("web", countersOf(30, 5000)), 0, 0, 0, 0},
		"the clock went back":    {sampleOf(old), endpointOf("web", countersOf(30, 5000)), -time.Second, 0, 0, 0},
		"counters start again":   {sampleOf(old), endpointOf("web", countersOf(4, 400)), 2 * time.Second, 2 * time.Second, 2, 200},
		"only bytes fell":        {sampleOf(old), half, 2 * time.Second, 2 * time.Second, 10, 5},
		"made in between":        {sampleOf(), young, 2 * time.Second, 2 * time.Second, 3, 300},
		"started again":          {sampleOf(old), young, 2 * time.Second, 2 * time.Second, 3, 300},
		"old, but not seen then": {sampleOf(), old, time.Second, 0, 0, 0},
		"not counted":            {sampleOf(uncounted), uncounted, time.Second, 0, 0, 0},
		"counted from now on":    {sampleOf(uncounted), endpointOf("web", countersOf(4, 400)), time.Second, time.Second, 4, 400},
		"ended in between":       {sampleOf(old), ended, 2 * time.Second, 2 * time.Second, 10, 1000},
		"ended before":           {sampleOf(ended), ended, 2 * time.Second, 2 * time.Second, 0, 0},
	} {
		got := Between(c.before, &Sample{At: clock.Add(c.after), Endpoints: []specs.Endpoint{c.now}})
		want := specs.Rates{
			Receive:  specs.TrafficRates{External: specs.CastRates{Unicast: specs.Rate{Packets: c.packets, Bytes: c.bytes}}},
			Transmit: specs.TrafficRates{Local: specs.CastRates{Broadcast: specs.Rate{Packets: c.packets, Bytes: 2 * c.bytes}}},
		}
		if len(got) != 1 || got[0].Over != c.over || got[0].Rates != want || got[0].Counters != c.now.Counters {
			t.Errorf("%s: %+v, want %v %+v", name, got, c.over, want)
		}
	}
}

func sampleOf(endpoints ...specs.Endpoint) *Sample { return &Sample{At: clock, Endpoints: endpoints} }

func TestRestartedEndpoint(t *testing.T) {
	live, ended := endpointOf("web", countersOf(1, 1)), endpointOf("web", countersOf(1, 1))
	ended.Phase = specs.PhaseEnded
	short := ended
	short.Created = clock.Add(time.Millisecond)
	for name, c := range map[string]struct {
		before *Sample
		now    specs.Endpoint
		want   bool
	}{
		"live":                  {sampleOf(live), live, false},
		"live, first sample":    {nil, live, false},
		"ended since":           {sampleOf(live), ended, false},
		"ended before":          {sampleOf(ended), ended, true},
		"ended, first sample":   {nil, ended, true},
		"ended, never seen":     {sampleOf(), ended, true},
		"began and ended since": {sampleOf(), short, false},
	} {
		got := Between(c.before, &Sample{At: clock.Add(time.Second), Endpoints: []specs.Endpoint{c.now}})
		if got[0].Past != c.want {
			t.Errorf("%s: past %t, want %t", name, got[0].Past, c.want)
		}
	}
}

// TestEveryCounter requires that each counter has its rate, and that its fall is detected.
func TestEveryCounter(t *testing.T) {
	list := func(c *specs.Counters) (all []*specs.Count) {
		for _, casts := range []*specs.Casts{&c.Receive.Local, &c.Receive.External, &c.Transmit.Local, &c.Transmit.External} {
			all = append(all, &casts.Unicast, &casts.Multicast, &casts.Broadcast)
		}
		return all
	}
	var zero specs.Counters
	for i := range list(&zero) {
		var c specs.Counters
		*list(&c)[i] = specs.Count{Packets: 3, Bytes: 300}
		if !Fell(c, zero) || Fell(zero, c) {
			t.Errorf("counter %d: its fall is not seen", i)
		}
		r := Of(zero, c, 2*time.Second)
		want := specs.Rate{Packets: 1.5, Bytes: 150}
		if got := r.Receive.Total().Plus(r.Transmit.Total()); got != want {
			t.Errorf("counter %d: rate %+v, want %+v", i, got, want)
		}
	}
}

// TestKeys requires that an endpoint is followed by its attachment, in any order.
func TestKeys(t *testing.T) {
	a, b := endpointOf("a", countersOf(1, 100)), endpointOf("b", countersOf(2, 200))
	a2, b2 := endpointOf("a", countersOf(2, 200)), endpointOf("b", countersOf(5, 500))
	got := Between(sampleOf(a, b), &Sample{At: clock.Add(time.Second), Endpoints: []specs.Endpoint{b2, a2}})
	if got[0].Rates.Receive.Total().Packets != 3 || got[1].Rates.Receive.Total().Packets != 1 {
		t.Errorf("rates of other endpoints: %+v", got)
	}
	other := a
	other.MAC[5]++
	if KeyOf(&a) == KeyOf(&b) || KeyOf(&a) == KeyOf(&other) {
		t.Error("two endpoints have one key")
	}
}

// TestCounting: if a parent is not counted, its rates are unknown; other parents' rates,
// and those of ended endpoints, stay.
func TestCounting(t *testing.T) {
	ended := endpointOf("off", countersOf(30, 3000))
	ended.Phase, ended.Ended = specs.PhaseEnded, clock.Add(time.Second)
	parents := []specs.ParentStatus{{Name: "on", State: specs.ParentCounting}, {Name: "off", State: specs.ParentDetached}}
	for _, now := range []specs.Endpoint{
		endpointOf("on", countersOf(30, 3000)), endpointOf("off", countersOf(30, 3000)), endpointOf("other", countersOf(30, 3000)), ended,
	} {
		now.Parent = now.ContainerID
		old := endpointOf(now.ContainerID, countersOf(10, 1000))
		got := Counting(Between(sampleOf(old), &Sample{At: clock.Add(time.Second), Endpoints: []specs.Endpoint{now}}), parents)[0]
		known := now.Parent != "off" || now.Phase == specs.PhaseEnded
		if (got.Over > 0) != known || (got.Rates != specs.Rates{}) != known {
			t.Errorf("on %q, %s: rates %+v over %s, want some: %v", now.Parent, now.Phase, got.Rates, got.Over, known)
		}
	}
}
