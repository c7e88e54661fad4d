package web

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"time"

	"berth/internal/rates"
	"berth/specs"
)

// Traffic is the part of an endpoint that changes from second to second.
type Traffic struct {
	Counters     specs.Counters        `json:"counters"`
	GroupPackets *uint64               `json:"group_packets,omitempty"`
	Violations   map[specs.Kind]uint64 `json:"violations,omitempty"`
	Dropped      map[specs.Kind]uint64 `json:"dropped,omitempty"`
	Rates        *specs.Rates          `json:"rates,omitempty"` // absent if there is no rate yet, or nothing is counted
}

// Row is an endpoint without its traffic.
type Row struct {
	Key string `json:"key"`
	specs.Endpoint
	Counters     *struct{} `json:"counters,omitempty"` // hides the counters: Traffic has them
	GroupPackets *struct{} `json:"group_packets,omitempty"`
	Violations   *struct{} `json:"violations,omitempty"`
	Dropped      *struct{} `json:"dropped,omitempty"`
}

// Agent is the agent's state in a message.
type Agent struct {
	Up      bool               `json:"up"`
	Problem string             `json:"problem,omitempty"` // why it does not answer
	Status  *specs.AgentStatus `json:"status,omitempty"`
}

// Message is a line of the stream to the page.
type Message struct {
	Time    time.Time          `json:"time"`
	Full    bool               `json:"full,omitempty"` // replaces all that was sent before
	Agent   *Agent             `json:"agent,omitempty"`
	Rows    []Row              `json:"rows,omitempty"`
	Traffic map[string]Traffic `json:"traffic,omitempty"`
	Removed []string           `json:"removed,omitempty"`
	// Networks replaces those that were sent before, if present.
	Networks []specs.NetworkStatus `json:"networks,omitempty"`
	// Checks and Cluster replace those that were sent before, if present.
	Checks  *Checks              `json:"checks,omitempty"`
	Cluster *specs.ClusterStatus `json:"cluster,omitempty"` // without a node if the machine is in no cluster
	Reset   bool                 `json:"reset,omitempty"`   // the events replace those sent before
	Events  []specs.Event        `json:"events,omitempty"`
}

// IsEmpty reports whether the message changes nothing on the page.
func (m *Message) IsEmpty() bool {
	return !m.Full && m.Agent == nil && !m.Reset && m.Networks == nil && m.Checks == nil && m.Cluster == nil &&
		len(m.Rows)+len(m.Traffic)+len(m.Removed)+len(m.Events) == 0
}

// View is the state of the page at one time.
type View struct {
	Time    time.Time
	Agent   Agent
	Rows    map[string]Row
	Traffic map[string]Traffic
	// Networks are of the last request for them, which is not made for each view.
	Networks []specs.NetworkStatus
	Checks   *Checks              // nil if there are none
	Cluster  *specs.ClusterStatus // nil if the machine is in no cluster
}

// NewView returns the view of a sample. before is the sample of a second ago, or nil.
func NewView(before, now *rates.Sample, status *specs.AgentStatus) *View {
	v := &View{Time: now.At, Agent: Agent{Up: true, Status: status}}
	readings := rates.Counting(rates.Between(before, now), status.Parents)
	v.Rows = make(map[string]Row, len(readings))
	v.Traffic = make(map[string]Traffic, len(readings))
	for i := range readings {
		r := &readings[i]
		key := keyText(&r.Endpoint)
		t := Traffic{Counters: r.Counters, GroupPackets: r.GroupPackets, Violations: r.Violations, Dropped: r.Dropped}
		if r.Over > 0 {
			t.Rates = &r.Rates
		}
		v.Rows[key], v.Traffic[key] = Row{Key: key, Endpoint: withoutTraffic(r.Endpoint)}, t
	}
	return v
}

func withoutTraffic(e specs.Endpoint) specs.Endpoint {
	e.Counters, e.GroupPackets, e.Violations, e.Dropped = specs.Counters{}, nil, nil, nil
	return e
}

// keyText returns the text that identifies an attachment in messages.
func keyText(e *specs.Endpoint) string {
	return fmt.Sprintf("%s/%s/%s/%d", e.ContainerID, e.Interface, e.MAC, e.Created.UnixNano())
}

// Unreachable returns the view while the agent does not answer: the endpoints that were
// known, without rates.
func (v *View) Unreachable(at time.Time, cause error) *View {
	u := &View{Time: at, Agent: Agent{Problem: cause.Error()}, Traffic: make(map[string]Traffic)}
	if v == nil {
		return u
	}
	u.Rows, u.Agent.Status, u.Networks = v.Rows, v.Agent.Status, v.Networks
	for key, t := range v.Traffic {
		t.Rates = nil
		u.Traffic[key] = t
	}
	return u
}

// Full returns the message for a page that has nothing yet.
func (v *View) Full(events []specs.Event) Message {
	rows := make([]Row, 0, len(v.Rows))
	for _, key := range slices.Sorted(maps.Keys(v.Rows)) {
		rows = append(rows, v.Rows[key])
	}
	return Message{Time: v.Time, Full: true, Agent: &v.Agent, Rows: rows, Traffic: v.Traffic, Reset: true, Events: events,
		Networks: v.Networks, Checks: v.Checks, Cluster: v.Cluster}
}

// Since returns the message for a page that shows an earlier view.
func (v *View) Since(old *View) Message {
	m := Message{Time: v.Time}
	if !sameAgent(v.Agent, old.Agent) {
		m.Agent = &v.Agent
	}
	if !reflect.DeepEqual(v.Networks, old.Networks) {
		m.Networks = v.Networks
	}
	if !reflect.DeepEqual(v.Checks, old.Checks) {
		m.Checks = orEmpty(v.Checks)
	}
	if !reflect.DeepEqual(v.Cluster, old.Cluster) {
		m.Cluster = orEmpty(v.Cluster)
	}
	for _, key := range slices.Sorted(maps.Keys(v.Rows)) {
		if before, ok := old.Rows[key]; !ok || !reflect.DeepEqual(before, v.Rows[key]) {
			m.Rows = append(m.Rows, v.Rows[key])
		}
		if before, ok := old.Traffic[key]; !ok || !sameTraffic(before, v.Traffic[key]) {
			if m.Traffic == nil {
				m.Traffic = make(map[string]Traffic)
			}
			m.Traffic[key] = v.Traffic[key]
		}
	}
	for _, key := range slices.Sorted(maps.Keys(old.Rows)) {
		if _, ok := v.Rows[key]; !ok {
			m.Removed = append(m.Removed, key)
		}
	}
	return m
}

// orEmpty returns an empty value for nil, so that it is in the message.
func orEmpty[T any](v *T) *T {
	if v == nil {
		return new(T)
	}
	return v
}

// sameAgent compares all but the time of the last reconciliation, which changes although
// nothing has happened.
func sameAgent(a, b Agent) bool {
	if a.Status != nil && b.Status != nil {
		s, t := *a.Status, *b.Status
		s.LastReconciled, t.LastReconciled = time.Time{}, time.Time{}
		a.Status, b.Status = &s, &t
	}
	return reflect.DeepEqual(a, b)
}

func sameTraffic(a, b Traffic) bool {
	return a.Counters == b.Counters && reflect.DeepEqual(a.Rates, b.Rates) &&
		reflect.DeepEqual(a.GroupPackets, b.GroupPackets) &&
		maps.Equal(a.Violations, b.Violations) && maps.Equal(a.Dropped, b.Dropped)
}
