package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/ipam"
	"berth/specs"
)

var (
	errCut   = errors.New("the store does not answer")
	errCrash = errors.New("the process was killed")
)

type world struct {
	t        *testing.T
	r        *rand.Rand
	store    *memory
	machines []*machine
	blocks   *Blocks
	options  Options
	weather  int
	depth    int // of the trace that a failure prints
	boots    int
	old      Snapshot
	trace    []string
}

func (w *world) keyOf(a netip.Addr) string {
	if b, ok := w.blocks.Of(a); ok {
		return testDomain.blockKey(b)
	}
	return testDomain.staticKey(a)
}

const testDomain = Domain("lan-hq")

func (w *world) poolText() PoolText {
	return NewPoolText(specs.Subnet{Subnet: w.blocks.pool.Prefix(), IPRange: w.blocks.pool.Range()}, 4)
}

// act does one random action.
func (w *world) act() {
	m := w.machines[w.r.IntN(len(w.machines))]
	m.clock += time.Duration(w.r.IntN(20)) * time.Minute
	switch n := w.r.IntN(100); {
	case n < 15 && m.keeper == nil:
		m.start()
	case n < 40:
		m.round()
	case n < 60:
		m.lease()
	case n < 70:
		m.release()
	case n < 76:
		m.cut = !m.cut
	case n < 82:
		w.store.arrive(w.r)
	case n < 86 && m.saved != nil: // its lease of presence ends, whether it lives or not
		w.store.drop(alivePrefix + string(m.saved.Node))
	case n < 90:
		m.keeper = nil // berthd is killed
	case n < 92:
		m.reboot()
	case n < 93:
		m.die()
	case n < 95 && m.keeper != nil:
		m.keeper.Wanted = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(200 + w.r.IntN(3))})}[:w.r.IntN(2)]
	case n < 96: // a jump of the clock
		m.clock += time.Duration(w.r.IntN(200)-100) * time.Hour
	}
}

// checkPromises fails the test if two machines may use a key, or use an address.
func (w *world) checkPromises() {
	owner := map[string]int{}
	claim := func(what string, m *machine) {
		if other, taken := owner[what]; taken && other != m.index {
			w.t.Fatalf("node%d and node%d both have %s; last steps:\n%s", other, m.index, what,
				strings.Join(w.trace[max(0, len(w.trace)-w.depth):], "\n"))
		}
		owner[what] = m.index
	}
	for _, m := range w.machines {
		for key := range m.open {
			claim(key, m)
		}
		for a := range m.leased {
			claim(a.String(), m)
			if m.saved == nil || m.saved.Held[m.keyOf(a)] == 0 {
				w.t.Fatalf("node%d has %s leased, but its file does not list the key; last steps:\n%s", m.index, a,
					strings.Join(w.trace[max(0, len(w.trace)-w.depth):], "\n"))
			}
		}
		if m.saved != nil { // it would use these after a reboot without the store
			for key := range m.saved.Held {
				claim(key, m)
			}
		}
	}
}

func testBlocks(t testing.TB, ipRange string, size int) *Blocks {
	t.Helper()
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix(ipRange)}
	pool := ipam.NewPool("lan", subnet, nil)
	b, err := NewBlocks(pool, size)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func newWorld(t *testing.T, seed uint64) *world {
	r := rand.New(rand.NewPCG(seed, 15))
	w := &world{t: t, r: r, store: newMemory(), weather: []int{1, 3, 8}[r.IntN(3)], depth: 60}
	w.blocks = testBlocks(t, fmt.Sprintf("192.0.2.64/%d", 26+r.IntN(3)), 4)
	w.options = Options{KeepFree: 1 + r.IntN(6), IdleAfter: 10 * time.Minute,
		ReclaimAfter: time.Duration(r.IntN(2)) * time.Hour}
	for i := range 5 {
		m := &machine{world: w, index: i}
		m.reboot()
		w.machines = append(w.machines, m)
	}
	return w
}

// TestNoAddressTwice runs nodes with random partitions, lost and late requests, lost
// answers, kills at every step, failed writes, reboots, jumps of the clock, ended presences
// and forgotten nodes, and checks after each action that no two nodes have a key.
func TestNoAddressTwice(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		w := newWorld(t, seed)
		for range 400 {
			w.act()
			w.checkPromises()
		}
		w.settle()
		w.checkStore()
		w.checkListed()
		w.tally()
	}
	for what, n := range events {
		if t.Logf("%6d %s", n, what); n == 0 {
			t.Errorf("no world reached the event %q", what)
		}
	}
}

// settle ends all faults: each node then has free addresses, unless the pool is full.
func (w *world) settle() {
	for len(w.store.late) > 0 {
		w.store.arrive(w.r)
	}
	for _, m := range w.machines {
		m.calm, m.cut = true, false
		if m.saved != nil {
			w.store.drop(alivePrefix + string(m.saved.Node))
		}
		m.start()
	}
	for range 3 {
		for _, m := range w.machines {
			m.clock += time.Hour
			err := m.runStep(m.keeper.Round)
			var full *FullError
			if err != nil && !errors.As(err, &full) {
				w.t.Fatalf("node%d after all faults: %v\n%s", m.index, err,
					strings.Join(w.trace[max(0, len(w.trace)-w.depth):], "\n"))
			}
			w.checkPromises()
		}
	}
}

// tally counts the events that the worlds must have reached for the test to mean anything.
func (w *world) tally() {
	for _, line := range w.trace {
		for what := range events {
			if strings.Contains(line, what) {
				events[what]++
			}
		}
	}
}

// events are texts of the trace.
var events = map[string]int{"reclaims": 0, "gives back": 0, "rests": 0, "takes": 0,
	"every block": 0, "forget": 0, "reboot": 0, "answer lost": 0, "adopts": 0,
	"older than": 0, "without the store": 0, "leased meanwhile": 0, "another boot": 0}

// checkStore fails the test if the store has keys that no node has in its file, except idle blocks.
func (w *world) checkStore() {
	s, _ := w.store.List(context.Background(), testDomain.prefix(), nodePrefix, alivePrefix)
	v := NewView(testDomain, w.blocks, s)
	if len(v.Bad) > 0 {
		w.t.Fatal(v.Bad)
	}
	held := map[string]int64{}
	for _, m := range w.machines {
		maps.Copy(held, m.saved.Held)
	}
	for key, c := range v.Claims {
		if held[key] != c.Revision && !c.Idle {
			w.t.Errorf("the store has a claim that no node uses: %+v", c)
		}
	}
}

// checkListed fails the test if a node has a key that the store does not give to it.
func (w *world) checkListed() {
	s, _ := w.store.List(context.Background(), testDomain.prefix(), nodePrefix, alivePrefix)
	v := NewView(testDomain, w.blocks, s)
	for _, m := range w.machines {
		for key, revision := range m.saved.Held {
			if c := v.Claims[key]; c.Node != m.saved.Node || c.Revision != revision {
				w.t.Errorf("a node uses %q, which the store does not give to it: %+v", key, c)
			}
		}
	}
}
