package web

import (
	"cmp"
	"fmt"
	"iter"
	"maps"
	"reflect"
	"slices"
	"time"

	"berth/internal/rates"
	"berth/specs"
)

// entry is an endpoint of a view.
type entry struct {
	row       Row
	marks     Marks
	from, now specs.Numbers // counts at the beginning of the interval of the rates, and at its end
	rated     bool          // if not, from and now are equal
}

// View is the state of the page at one time.
type View struct {
	Time    time.Time
	Over    time.Duration // since the sample before; 0 if there is none
	Agent   Agent
	entries []*entry // by their ids
	known   map[rates.Key]*entry
	lastID  uint64
	// Networks are of the last request for them, which is not made for each view.
	Networks []specs.NetworkStatus
	Checks   *Checks              // nil if there are none
	Cluster  *specs.ClusterStatus // nil if the machine is in no cluster
}

// NewView returns the view of a sample. before is the sample of a second ago, or nil. old is the
// view before, or nil; its endpoints keep their ids.
func NewView(old *View, before, now *rates.Sample, status *specs.AgentStatus) *View {
	v := &View{Time: now.At, Agent: Agent{Up: true, Status: status}}
	if old == nil {
		old = new(View)
	}
	v.lastID = old.lastID
	if before != nil {
		v.Over = max(0, now.At.Sub(before.At))
	}
	readings := rates.Counting(rates.Between(before, now), status.Parents)
	v.known = make(map[rates.Key]*entry, len(readings))
	v.entries = make([]*entry, 0, len(readings))
	for i := range readings {
		r := &readings[i]
		key := rates.KeyOf(&r.Endpoint)
		e := newEntry(r)
		if known := old.known[key]; known != nil {
			e.setName(known.row.ID, known.row.Key)
		} else {
			v.lastID++
			e.setName(v.lastID, keyText(&r.Endpoint))
		}
		v.known[key] = e
		v.entries = append(v.entries, e)
	}
	slices.SortFunc(v.entries, func(a, b *entry) int { return cmp.Compare(a.row.ID, b.row.ID) })
	return v
}

func newEntry(r *rates.Reading) *entry {
	e := &entry{row: Row{Endpoint: withoutTraffic(r.Endpoint)}, now: r.Counters.Numbers(), rated: r.Over > 0}
	e.marks = Marks{GroupPackets: r.GroupPackets, Violations: r.Violations, Dropped: r.Dropped}
	if e.from = e.now; e.rated {
		e.from = r.From.Numbers()
	}
	return e
}

func (e *entry) setName(id uint64, key string) { e.row.ID, e.row.Key, e.marks.ID = id, key, id }

func withoutTraffic(e specs.Endpoint) specs.Endpoint {
	e.Counters, e.GroupPackets, e.Violations, e.Dropped = specs.Counters{}, nil, nil, nil
	return e
}

// keyText returns the text that identifies an attachment in the page's addresses.
func keyText(e *specs.Endpoint) string {
	return fmt.Sprintf("%s/%s/%s/%d", e.ContainerID, e.Interface, e.MAC, e.Created.UnixNano())
}

// Unreachable returns the view while the agent does not answer: the endpoints that were
// known, without rates.
func (v *View) Unreachable(at time.Time, cause error) *View {
	u := &View{Time: at, Agent: Agent{Problem: cause.Error()}}
	if v == nil {
		return u
	}
	u.lastID, u.Agent.Status, u.Networks = v.lastID, v.Agent.Status, v.Networks
	u.known = make(map[rates.Key]*entry, len(v.entries))
	for _, e := range v.entries {
		without := *e
		without.from, without.rated = e.now, false
		u.known[rates.KeyOf(&e.row.Endpoint)] = &without
		u.entries = append(u.entries, &without)
	}
	return u
}

// Full returns the message for a page that has nothing yet.
func (v *View) Full(events []specs.Event) Message {
	m := Message{Time: v.Time, Version: pageVersion(), Full: true, Agent: &v.Agent, Over: v.Over.Seconds(),
		Networks: v.Networks, Checks: v.Checks, Cluster: v.Cluster, Reset: true, Events: events}
	for _, e := range v.entries {
		m.addEndpoint(e, nil)
	}
	return m
}

// Since returns the message for a page that shows the view before, and whether it changes
// anything there.
func (v *View) Since(old *View) (m Message, changes bool) {
	m = Message{Time: v.Time, Over: v.Over.Seconds()}
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
	for key, e := range v.byKey() {
		m.addEndpoint(e, old.known[key])
	}
	for key, e := range old.byKey() {
		if v.known[key] == nil {
			m.Removed = append(m.Removed, e.row.ID)
		}
	}
	return m, m.Agent != nil || m.Networks != nil || m.Checks != nil || m.Cluster != nil ||
		len(m.Rows)+len(m.Marks)+len(m.Bases)+len(m.Moves)+len(m.Removed) > 0
}

// byKey returns the endpoints in the order of their ids.
func (v *View) byKey() iter.Seq2[rates.Key, *entry] {
	return func(yield func(rates.Key, *entry) bool) {
		for _, e := range v.entries {
			if !yield(rates.KeyOf(&e.row.Endpoint), e) {
				return
			}
		}
	}
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

func sameRow(a, b *Row) bool { return reflect.DeepEqual(a, b) }

func sameMarks(a, b *Marks) bool {
	return reflect.DeepEqual(a.GroupPackets, b.GroupPackets) &&
		maps.Equal(a.Violations, b.Violations) && maps.Equal(a.Dropped, b.Dropped)
}

func (m *Marks) isEmpty() bool { return m.GroupPackets == nil && len(m.Violations)+len(m.Dropped) == 0 }
