package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/bits"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"berth/internal/rates"
	"berth/specs"
)

var begun = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func endpointOf(name string, bytes uint64) specs.Endpoint {
	e := specs.Endpoint{
		ContainerID: name, Name: name, Network: "lan", Interface: "eth0", Parent: "eth1", Phase: specs.PhaseAttached,
		Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: specs.MAC{2, 0, 0, 0, 0, 1}, MTU: 1500,
		Origin: specs.OriginBerth, Created: begun.Add(-time.Hour), Counted: true, Violations: map[specs.Kind]uint64{specs.MACSpoof: 1},
	}
	e.Counters.Receive.Local.Unicast.Bytes = bytes
	return e
}

func counting() *specs.AgentStatus {
	return &specs.AgentStatus{PID: 1, Parents: []specs.ParentStatus{{Name: "eth1", State: specs.ParentCounting, Networks: []string{}}}, Problems: []string{}}
}

// eventOf returns a violation by a container.
func eventOf(name string) specs.Event {
	return specs.Event{Time: begun, Kind: specs.MACSpoof, Certainty: specs.Certain, Evidence: specs.ByNetnsCookie, Parent: "eth1", Detail: "d",
		Sender: &specs.Party{ContainerID: name, Name: name, Network: "lan", Interface: "eth0", MAC: specs.MAC{2, 0, 0, 0, 0, 1}}}
}

func sampleAt(second int, all ...specs.Endpoint) *rates.Sample {
	return &rates.Sample{At: begun.Add(time.Duration(second) * time.Second), Endpoints: all}
}

// shown is an endpoint as the page has it after some messages. It repeats page/store.js.
type shown struct {
	name         string
	counts, rate [24]float64
	rated        bool
	marks        Marks
}

// applyMessage changes the endpoints of a page as a message requires.
func applyMessage(t *testing.T, page map[uint64]*shown, m Message) {
	t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	m = Message{}
	if err := json.Unmarshal(text, &m); err != nil {
		t.Fatal(err)
	}
	if m.Full {
		clear(page)
	}
	for _, id := range m.Removed {
		delete(page, id)
	}
	for _, row := range m.Rows {
		if page[row.ID] == nil {
			page[row.ID] = new(shown)
		}
		page[row.ID].name = row.Name
	}
	for _, s := range page {
		s.rate = [24]float64{}
	}
	unpack(m.Bases, func(id uint64) { page[id].counts, page[id].rated = [24]float64{}, true },
		func(id uint64, i int, n float64) { page[id].counts[i] = n })
	for _, id := range m.Unrated {
		page[id].rated = false
	}
	unpack(m.Moves, func(uint64) {}, func(id uint64, i int, n float64) {
		page[id].counts[i] += n
		page[id].rate[i] = n / m.Over
	})
	for _, marks := range m.Marks {
		page[marks.ID].marks = marks
	}
}

func unpack(all []uint64, start func(id uint64), fn func(id uint64, i int, n float64)) {
	for len(all) > 0 {
		id, mask := all[0], all[1]
		start(id)
		for all = all[2:]; mask != 0; mask &= mask - 1 {
			fn(id, bits.TrailingZeros64(mask), float64(all[0]))
			all = all[1:]
		}
	}
}

// comparePage requires that a page shows a sample's endpoints with their rates.
func comparePage(t *testing.T, page map[uint64]*shown, readings []rates.Reading) {
	t.Helper()
	byName := make(map[string]*shown)
	for _, s := range page {
		byName[s.name] = s
	}
	if len(page) != len(readings) || len(byName) != len(page) {
		t.Fatalf("the page has %d endpoints with %d names, want %d", len(page), len(byName), len(readings))
	}
	for i := range readings {
		r := &readings[i]
		s := byName[r.Name]
		got := []any{s.rated, s.counts[1], s.counts[12], s.rate[1], s.rate[12]}
		want := []any{r.Over > 0, float64(r.Counters.Receive.Local.Unicast.Bytes), float64(r.Counters.Transmit.Local.Unicast.Packets),
			r.Rates.Receive.Local.Unicast.Bytes, r.Rates.Transmit.Local.Unicast.Packets}
		if fmt.Sprint(got) != fmt.Sprint(want) || !maps.Equal(s.marks.Violations, r.Violations) {
			t.Fatalf("%s on the page: %v %v, want %v %v", r.Name, got, s.marks, want, r.Violations)
		}
	}
}

// changeRandomly changes a sample as an agent may: endpoints come, go, talk, are purged, break
// rules, or are not counted.
func changeRandomly(r *rand.Rand, all []specs.Endpoint, second int) []specs.Endpoint {
	all = append([]specs.Endpoint(nil), all...)
	if r.IntN(3) == 0 {
		e := endpointOf(fmt.Sprint("c", second), 0)
		e.Created, e.Counted = begun.Add(time.Duration(second)*time.Second-time.Duration(r.IntN(2))*time.Hour-time.Millisecond), r.IntN(4) > 0
		all = append(all, e)
	}
	if r.IntN(4) == 0 && len(all) > 0 {
		all = append(all[:0], all[1:]...)
	}
	for i := range all {
		switch e := &all[i]; r.IntN(8) {
		case 0, 1, 2:
			e.Counters.Receive.Local.Unicast.Bytes += r.Uint64N(1e6)
			e.Counters.Transmit.Local.Unicast.Packets += r.Uint64N(9)
		case 3:
			e.Counters.Receive.Local.Unicast.Bytes /= 2
		case 4:
			e.Violations = map[specs.Kind]uint64{specs.MACSpoof: r.Uint64N(1e6) + 1}
		case 5:
			e.Counted = !e.Counted
		}
	}
	return all
}

// TestPageFollowsTheAgent applies the messages of random samples as the page does. A viewer who
// was there from the beginning and one who has just come show the same as the sample.
func TestPageFollowsTheAgent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		page := make(map[uint64]*shown)
		var all []specs.Endpoint
		var before *rates.Sample
		var view *View
		for second := range 60 {
			all = changeRandomly(r, all, second)
			now := sampleAt(second, all...)
			next := NewView(view, before, now, counting())
			if r.IntN(10) == 0 && view != nil {
				next, now = view.Unreachable(now.At, errors.New("no agent")), nil
			}
			if view == nil {
				wantValid(t, next.Full(nil))
				applyMessage(t, page, next.Full(nil))
			} else {
				m, changes := next.Since(view)
				if !changes {
					m = Message{Time: m.Time}
				}
				if seed == 0 {
					wantValid(t, m)
				}
				applyMessage(t, page, m)
			}
			if now != nil {
				comparePage(t, page, rates.Between(before, now))
				late := make(map[uint64]*shown)
				applyMessage(t, late, next.Full(nil))
				comparePage(t, late, rates.Between(before, now))
			}
			before, view = now, next
		}
	}
}

// wantValid requires that a message satisfies its schema.
func wantValid(t *testing.T, m Message) {
	t.Helper()
	text, err := encodeLine(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := validate("page-feed", text); err != nil {
		t.Fatal(err)
	}
}

func changesSince(t *testing.T, v, old *View) Message {
	t.Helper()
	m, changes := v.Since(old)
	if !changes {
		t.Errorf("message %+v reports no changes", m)
	}
	return m
}

func TestNothingChanged(t *testing.T) {
	s := sampleAt(0, endpointOf("idle", 7))
	status := counting()
	status.LastReconciled = begun
	v := NewView(nil, sampleAt(-1, endpointOf("idle", 7)), s, counting())
	if m, changes := NewView(v, s, sampleAt(1, endpointOf("idle", 7)), status).Since(v); changes {
		t.Errorf("message %+v, want no changes", m)
	}
}

func TestAgentIsGone(t *testing.T) {
	s0, s1 := sampleAt(0, endpointOf("web", 1)), sampleAt(1, endpointOf("web", 2))
	v := NewView(nil, s0, s1, counting())
	gone := v.Unreachable(begun.Add(2*time.Second), errors.New("no agent"))
	m := changesSince(t, gone, v)
	if m.Agent == nil || m.Agent.Up || m.Agent.Problem != "no agent" || len(m.Removed)+len(m.Rows)+len(m.Moves) > 0 {
		t.Errorf("message %+v", m)
	}
	if got := fmt.Sprint(m.Bases, m.Unrated); got != "[1 2 2] [1]" {
		t.Errorf("traffic while the agent is gone: %s; want the counts, without rates", got)
	}
	back := changesSince(t, NewView(gone, nil, sampleAt(3, endpointOf("web", 3)), counting()), gone)
	if back.Agent == nil || !back.Agent.Up || len(back.Rows) > 0 {
		t.Errorf("message after the agent's return %+v", back)
	}
	if m := (*View)(nil).Unreachable(begun, errors.New("no agent")).Full(nil); m.Agent.Up || !m.Full {
		t.Errorf("first message %+v", m)
	}
}

func TestRowHasNoTraffic(t *testing.T) {
	v := NewView(nil, nil, sampleAt(0, endpointOf("web", 77)), counting())
	m := v.Full(nil)
	row, err := json.Marshal(m.Rows[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"counters", "violations", "dropped", "group_packets"} {
		if strings.Contains(string(row), `"`+key+`"`) {
			t.Errorf("the row has %q: %s", key, row)
		}
	}
}

func TestParentIsNotCounted(t *testing.T) {
	off := &specs.AgentStatus{Parents: []specs.ParentStatus{{Name: "eth1", State: specs.ParentDetached}}}
	v := NewView(nil, sampleAt(0, endpointOf("web", 1)), sampleAt(1, endpointOf("web", 2)), off)
	if m := v.Full(nil); len(m.Moves) > 0 || len(m.Unrated) != 1 {
		t.Errorf("message %+v of an endpoint whose parent is not counted; want no rate", m)
	}
}

// TestMessageIsSmall holds the size of an update in which 10,000 endpoints talk, each in both
// directions with siblings and the wire: a page reads it each second.
func TestMessageIsSmall(t *testing.T) {
	t.Parallel()
	const most = 60 // bytes of an endpoint
	var samples []*rates.Sample
	for second := range uint64(3) {
		all := make([]specs.Endpoint, 10_000)
		for i := range all {
			all[i] = endpointOf(fmt.Sprint("c", i), second*123_456)
			c := &all[i].Counters
			for _, n := range []*specs.Count{&c.Receive.Local.Unicast, &c.Receive.External.Unicast, &c.Transmit.Local.Unicast, &c.Transmit.External.Unicast} {
				n.Packets, n.Bytes = second*uint64(1000+i%9000), second*uint64(100_000+i)
			}
		}
		samples = append(samples, sampleAt(int(second), all...))
	}
	first := NewView(nil, samples[0], samples[1], counting())
	m := changesSince(t, NewView(first, samples[1], samples[2], counting()), first)
	line, err := encodeLine(m)
	if err != nil || len(line) > most*10_000 || len(m.Bases)+len(m.Rows) > 0 {
		t.Errorf("%d bytes, %d bases, %d rows, %v; want at most %d bytes and moves alone", len(line), len(m.Bases), len(m.Rows), err, most*10_000)
	}
}
