package web

import (
	"encoding/json"
	"errors"
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
		Driver: specs.Macvlan, Mode: specs.ModeBridge, MAC: specs.MAC{2, 0, 0, 0, 0, 1},
		Origin: specs.OriginBerth, Created: begun.Add(-time.Hour), Counted: true, Violations: map[specs.Kind]uint64{specs.MACSpoof: 1},
	}
	e.Counters.Receive.Local.Unicast.Bytes = bytes
	return e
}

func counting() *specs.AgentStatus {
	return &specs.AgentStatus{Parents: []specs.ParentStatus{{Name: "eth1", State: specs.ParentCounting}}}
}

func sampleAt(second int, all ...specs.Endpoint) *rates.Sample {
	return &rates.Sample{At: begun.Add(time.Duration(second) * time.Second), Endpoints: all}
}

func TestDeltas(t *testing.T) {
	s0 := sampleAt(0, endpointOf("busy", 100), endpointOf("idle", 7), endpointOf("gone", 1))
	renamed := endpointOf("new", 0)
	s1 := sampleAt(1, endpointOf("busy", 350), endpointOf("idle", 7), renamed)
	v0 := NewView(nil, s0, counting())
	v1 := NewView(s0, s1, counting())
	m := v1.Since(v0)
	busy, idle := keyText(&s0.Endpoints[0]), keyText(&s0.Endpoints[1])
	if got := m.Traffic[busy].Rates; got == nil || got.Receive.Local.Unicast.Bytes != 250 {
		t.Errorf("rate of the busy endpoint %+v, want 250 bytes a second", got)
	}
	if len(m.Rows) != 1 || m.Rows[0].Name != "new" || len(m.Removed) != 1 || m.Removed[0] != keyText(&s0.Endpoints[2]) || m.Agent != nil {
		t.Errorf("rows %+v, removed %q, agent %+v", m.Rows, m.Removed, m.Agent)
	}
	if _, ok := m.Traffic[idle]; !ok {
		t.Error("the idle endpoint has its first rate, of 0, but no message")
	}
	s2 := sampleAt(2, endpointOf("busy", 600), endpointOf("idle", 7), renamed)
	v2 := NewView(s1, s2, counting())
	if m := v2.Since(v1); len(m.Rows)+len(m.Removed) != 0 || len(m.Traffic) != 2 {
		t.Errorf("rows %v, removed %v, traffic %v; want traffic of the busy endpoint, and the first rate of the new one", m.Rows, m.Removed, m.Traffic)
	}
}

func TestNothingChanged(t *testing.T) {
	s := sampleAt(0, endpointOf("idle", 7))
	status := counting()
	status.LastReconciled = begun
	v := NewView(sampleAt(-1, endpointOf("idle", 7)), s, counting())
	m := NewView(s, sampleAt(1, endpointOf("idle", 7)), status).Since(v)
	if !m.IsEmpty() {
		t.Errorf("message %+v, want an empty one", m)
	}
}

func TestAgentIsGone(t *testing.T) {
	s0, s1 := sampleAt(0, endpointOf("web", 1)), sampleAt(1, endpointOf("web", 2))
	v := NewView(s0, s1, counting())
	gone := v.Unreachable(begun.Add(2*time.Second), errors.New("no agent"))
	m := gone.Since(v)
	if m.Agent == nil || m.Agent.Up || m.Agent.Problem != "no agent" || len(m.Removed) > 0 {
		t.Errorf("message %+v", m)
	}
	if got := m.Traffic[keyText(&s0.Endpoints[0])]; got.Rates != nil || got.Counters.Receive.Local.Unicast.Bytes != 2 {
		t.Errorf("traffic while the agent is gone: %+v; want the counts, without rates", got)
	}
	back := NewView(nil, sampleAt(3, endpointOf("web", 3)), counting()).Since(gone)
	if back.Agent == nil || !back.Agent.Up || len(back.Rows) > 0 {
		t.Errorf("message after the agent's return %+v", back)
	}
	if m := (*View)(nil).Unreachable(begun, errors.New("no agent")).Full(nil); m.Agent.Up || !m.Full {
		t.Errorf("first message %+v", m)
	}
}

func TestRowHasNoTraffic(t *testing.T) {
	v := NewView(nil, sampleAt(0, endpointOf("web", 77)), counting())
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
	s := sampleAt(1, endpointOf("web", 2))
	if got := NewView(sampleAt(0, endpointOf("web", 1)), s, off).Traffic[keyText(&s.Endpoints[0])]; got.Rates != nil {
		t.Errorf("rates %+v of an endpoint whose parent is not counted", got.Rates)
	}
}
