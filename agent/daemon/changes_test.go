package daemon

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"berth/agent/metrics"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

// changesModel is a set of endpoints that changes at random, as the store and the maps do.
type changesModel struct {
	r       *rand.Rand
	all     []*record
	counts  map[*record]specs.Counters
	broken  map[*record]map[specs.Kind]specs.Broken
	created int64
	counted bool
}

// changeRandomly changes endpoints, and the set of records if one came, went or changed.
func (m *changesModel) changeRandomly() {
	if m.r.IntN(4) == 0 {
		m.all = slices.Clone(m.all)
		switch i := m.r.IntN(len(m.all) + 1); m.r.IntN(3) {
		case 0: // a new one, which may have the key of an old one
			m.created++
			key := fmt.Sprint("key", m.r.IntN(20))
			m.all = slices.DeleteFunc(m.all, func(r *record) bool { return r.storedKey == key })
			m.all = append(m.all, &record{storedKey: key, slot: uint32(m.created), Endpoint: metrics.Endpoint{Created: m.created, Name: "new"}})
		case 1:
			if i < len(m.all) {
				m.all = slices.Delete(m.all, i, i+1)
			}
		case 2:
			if i < len(m.all) {
				was := m.all[i]
				is := &record{storedKey: was.storedKey, slot: was.slot, Endpoint: metrics.Endpoint{Created: was.Created, Name: fmt.Sprint("name", m.r.IntN(100))}}
				m.counts[is], m.broken[is] = m.counts[was], m.broken[was]
				m.all[i] = is
			}
		}
	}
	for _, r := range m.all {
		switch m.r.IntN(6) {
		case 0:
			c := m.counts[r]
			c.Receive.Local.Unicast.Packets += m.r.Uint64N(5)
			m.counts[r] = c
		case 1:
			m.broken[r] = map[specs.Kind]specs.Broken{specs.MACSpoof: {Packets: m.r.Uint64N(5) + 1}}
		case 2:
			m.counts[r] = specs.Counters{} // a purge
			delete(m.broken, r)
		}
	}
	m.counted = m.r.IntN(10) > 0
}

// give gives the state to the versions, as readCounts does.
func (m *changesModel) give(v *versions) {
	v.now++
	v.setRecords(m.all)
	v.setFacts(m.counted, 0)
	broken := make(map[uint32]map[specs.Kind]specs.Broken)
	for i, r := range m.all {
		if !m.counted {
			continue
		}
		c := m.counts[r]
		v.setCounts(i, &c)
		broken[r.slot] = m.broken[r]
	}
	if m.counted {
		v.setBroken(broken)
	}
}

// copyOf is an endpoint as a client or the model has it.
type copyOf struct {
	Name    string
	Counted bool
	Packets uint64
	Broken  uint64
}

func (m *changesModel) copyOf(r *record) copyOf {
	if !m.counted {
		return copyOf{Name: r.Name}
	}
	return copyOf{r.Name, true, m.counts[r].Receive.Local.Unicast.Packets, m.broken[r][specs.MACSpoof].Packets}
}

// changesClient has the endpoints of the answers that it got.
type changesClient struct {
	version string
	byID    map[uint64]copyOf
}

func (c *changesClient) applyAnswer(t *testing.T, a changesAnswer, m *changesModel) {
	if a.first.Whole {
		c.byID = make(map[uint64]copyOf)
	}
	for _, id := range a.first.Removed {
		delete(c.byID, id)
	}
	for _, row := range a.rows {
		c.byID[row.id] = m.copyOf(row.record)
	}
	if err := specs.EachPacked(a.last.Counts, func(id uint64, n *specs.Numbers) {
		e, ok := c.byID[id]
		if e.Packets = n[0]; !ok {
			t.Errorf("counts of the unknown endpoint %d", id)
		}
		c.byID[id] = e
	}); err != nil {
		t.Error(err)
	}
	for _, marks := range a.last.Marks {
		e := c.byID[marks.ID]
		e.Broken = marks.Violations[specs.MACSpoof]
		c.byID[marks.ID] = e
	}
	c.version = a.last.Version
}

// TestChangesAreComplete requires that clients that request changes at their own pace have the same
// endpoints as the agent.
func TestChangesAreComplete(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := &changesModel{r: r, counts: make(map[*record]specs.Counters), broken: make(map[*record]map[specs.Kind]specs.Broken)}
		v := newVersions()
		clients := []*changesClient{{}, {}, {}}
		for range 200 {
			m.changeRandomly()
			for i, c := range clients {
				if r.IntN(1+3*i) > 0 {
					continue
				}
				have := v.since(c.version)
				m.give(v)
				c.applyAnswer(t, v.changesSince(have), m)
				compareClient(t, c, v, m)
			}
			if t.Failed() {
				return
			}
		}
	}
}

func compareClient(t *testing.T, c *changesClient, v *versions, m *changesModel) {
	t.Helper()
	want := make(map[uint64]copyOf)
	for i, r := range m.all {
		want[v.rows[i].id] = m.copyOf(r)
	}
	if diff := cmp.Diff(want, c.byID); diff != "" {
		t.Errorf("endpoints of a client: %s", diff)
	}
}

// TestUnchangedEndpointsAreLeftOut requires that an answer has only that which changed.
func TestUnchangedEndpointsAreLeftOut(t *testing.T) {
	v := newVersions()
	all := []*record{{storedKey: "a", slot: 1}, {storedKey: "b", slot: 2, rare: &rare{leases: []dhcpLease{{}}}}}
	step := func(offset time.Duration, packets uint64) changesAnswer {
		have := v.since(v.String())
		v.now++
		v.setRecords(all)
		v.setFacts(true, offset)
		v.setCounts(0, &specs.Counters{Transmit: specs.Traffic{External: specs.Casts{Unicast: specs.Count{Packets: packets}}}})
		return v.changesSince(have)
	}
	if a := step(0, 1); !a.first.Whole || len(a.rows) != 2 {
		t.Errorf("first answer %+v, want all endpoints", a)
	}
	if a := step(0, 1); a.first.Whole || len(a.rows)+len(a.last.Counts)+len(a.last.Marks)+len(a.first.Removed) > 0 {
		t.Errorf("answer %+v although nothing changed", a)
	}
	if a := step(0, 2); len(a.rows) > 0 || fmt.Sprint(a.last.Counts) != fmt.Sprint([]uint64{1, 1 << 18, 2}) {
		t.Errorf("answer %+v, want the counts of endpoint 1", a)
	}
	if a := step(time.Hour, 2); len(a.rows) != 1 || a.rows[0].id != 2 {
		t.Errorf("answer %+v after a step of the clock, want the endpoint with a lease", a)
	}
}

// TestVersionsThatAreUnknown requires that a client gets all endpoints if its version is another
// agent's, is in the future, or is older than a removal that was forgotten.
func TestVersionsThatAreUnknown(t *testing.T) {
	v := newVersions()
	v.now = 7
	for after, want := range map[string]uint64{v.String(): 7, v.instance + "-6": 6, v.instance + "-8": 0, v.instance + "-": 0, "x-7": 0, "": 0, "7": 0} {
		if got := v.since(after); got != want {
			t.Errorf("%q: version %d, want %d", after, got, want)
		}
	}
	all := make([]*record, mostRemoved+1)
	for i := range all {
		all[i] = &record{storedKey: fmt.Sprint(i)}
	}
	v.setRecords(all)
	v.now++
	v.setRecords(nil)
	if got := v.since(v.instance + "-7"); got != 0 {
		t.Errorf("version %d of before removals that are forgotten, want 0", got)
	}
	if got := v.since(v.String()); got != 8 {
		t.Errorf("version %d after them, want 8", got)
	}
}

// TestGroupCountsTakeTurns requires that each group count is read again and again, and that an
// unreadable one stays.
func TestGroupCountsTakeTurns(t *testing.T) {
	v := newVersions()
	all := make([]*record, 2*groupsAtOnce+1)
	for i := range all {
		all[i] = &record{storedKey: fmt.Sprint(i)}
	}
	v.now++
	v.setRecords(all)
	reads := 0
	for range 3 {
		v.setGroups(func(*record) *uint64 { reads++; return new(uint64(5)) })
	}
	if reads != 3*groupsAtOnce || slices.ContainsFunc(v.rows, func(r *versionRow) bool { return r.group == nil || *r.group != 5 }) {
		t.Errorf("%d reads in 3 answers, want %d and each endpoint's", reads, 3*groupsAtOnce)
	}
	v.setGroups(func(*record) *uint64 { return nil })
	if v.rows[v.next].group == nil {
		t.Error("a count that could not be read was forgotten")
	}
}
