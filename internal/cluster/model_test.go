package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
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

// machine is a simulated node. Its disk outlives a reboot; its leases outlive berthd, and
// the hook goes on leasing from open keys while berthd is dead.
type machine struct {
	*world
	index  int
	cut    bool // partitioned from the store
	calm   bool // no faults
	boot   string
	clock  time.Duration
	saved  *File
	open   map[string]bool
	leased map[netip.Addr]bool
	keeper *Keeper // nil while berthd is dead
}

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

// fate reports a fault, on average once in n calls; in some worlds they are fewer.
func (m *machine) fate(n int) bool { return !m.calm && m.r.IntN(n*m.weather) == 0 }

// crash panics with errCrash in some calls; run recovers it.
func (m *machine) crash(n int) {
	if m.fate(n) {
		panic(errCrash)
	}
}

func (m *machine) List(ctx context.Context, prefixes ...string) (Snapshot, error) {
	m.crash(60)
	if m.cut || m.fate(20) {
		return Snapshot{}, errCut
	}
	if m.fate(30) && m.old.Revision > 0 { // as by a store that was restored from a backup
		return m.old, nil
	}
	s, err := m.store.List(ctx, prefixes...)
	if m.fate(5) {
		m.old = s
	}
	return s, err
}

// Swap loses requests and answers, and delivers some requests only after it has given up.
func (m *machine) Swap(ctx context.Context, changes ...Change) (int64, error) {
	m.crash(40)
	if m.cut || m.fate(10) {
		if m.r.IntN(2) == 0 {
			m.store.late = append(m.store.late, changes)
		}
		return 0, errCut
	}
	for m.fate(6) {
		m.store.arrive(m.r)
	}
	revision, err := m.store.Swap(ctx, changes...)
	if err == nil {
		m.log("%s", m.describe(changes))
	}
	m.crash(20)
	if m.fate(8) {
		m.log("answer lost")
		return 0, errCut
	}
	return revision, err
}

// describe names the event of a transaction.
func (m *machine) describe(changes []Change) string {
	c := changes[len(changes)-1]
	switch owner, _ := decodeOwner(c.Value); {
	case c.Action == Delete:
		return "gives back " + c.Key
	case owner.Idle:
		return "rests " + c.Key
	case len(changes) == 4:
		return "reclaims " + c.Key
	case c.Was != 0:
		return "adopts " + c.Key
	}
	return "takes " + c.Key
}

func (m *machine) Watch(ctx context.Context, p string, after int64, apply func(Update)) error {
	return m.store.Watch(ctx, p, after, apply)
}

func (m *machine) Present(ctx context.Context, key string, value []byte) error {
	if m.cut {
		return errCut
	}
	return m.store.Present(ctx, key, value)
}

func (m *machine) Load() (File, error) {
	if m.saved == nil { // a new node, with an identity that the seed determines
		f := NewFile()
		f.Node = NodeID(fmt.Sprintf("%016x%016x", m.r.Uint64(), m.r.Uint64()))
		return f, nil
	}
	return m.saved.clone(), nil
}

// Save fails before or after the file is on the disk, or the process is killed there.
func (m *machine) Save(f File) error {
	m.crash(40)
	if m.fate(40) {
		return errors.New("no space left on device")
	}
	saved := f.clone()
	m.saved = &saved
	m.crash(40)
	if m.fate(40) {
		return errors.New("input/output error")
	}
	return nil
}

func (m *machine) Reset(keys []string) error {
	m.open = map[string]bool{}
	for _, key := range keys {
		m.open[key] = true
	}
	m.crash(40)
	return nil
}

func (m *machine) Open(key string) error { m.open[key] = true; m.crash(40); return nil }

func (m *machine) Close(key string, force bool) (bool, error) {
	if m.fate(3) {
		m.lease() // the hook was sooner
	}
	for a := range m.leased {
		if !force && m.keyOf(a) == key {
			m.log("leased meanwhile in %s", key)
			return false, nil
		}
	}
	delete(m.open, key)
	m.crash(40)
	return true, nil
}

func (m *machine) Leased() (map[netip.Addr]bool, error) { return maps.Clone(m.leased), nil }

func (w *world) keyOf(a netip.Addr) string {
	if b, ok := w.blocks.Of(a); ok {
		return testDomain.blockKey(b)
	}
	return testDomain.staticKey(a)
}

const testDomain = Domain("lan-hq")

// run runs a step of berthd, which dies if it crashes in it.
func (m *machine) run(step func(ctx context.Context) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			if r != errCrash {
				panic(r)
			}
			m.keeper, err = nil, errCrash
		}
	}()
	return step(context.Background())
}

func (m *machine) start() {
	err := m.run(func(ctx context.Context) error {
		self, err := OpenSelf(SelfConfig{Store: m, Disk: m, Name: fmt.Sprint("node", m.index), Boot: m.boot})
		if err != nil {
			return err
		}
		k := self.Keep(Config{Leases: m, Domain: testDomain, Blocks: m.blocks,
			Pool: m.poolText(), Options: m.options, Now: func() time.Duration { return m.clock }})
		m.keeper = k
		return k.Start(ctx)
	})
	m.log("start: %v", err)
	if m.cut && len(m.open) > 0 {
		m.log("goes on without the store")
	}
}

func (w *world) poolText() PoolText {
	return NewPoolText(specs.Subnet{Subnet: w.blocks.pool.Prefix(), IPRange: w.blocks.pool.Range()}, 4)
}

// round is a round of berthd; it is present afterwards if the store answers.
func (m *machine) round() {
	if m.keeper == nil {
		return
	}
	m.keeper.Asked = m.r.IntN(3) == 0
	err := m.run(m.keeper.Round)
	m.log("round: %v; holds %v", err, m.saved)
	if m.keeper != nil && err == nil {
		m.Present(context.Background(), alivePrefix+string(m.keeper.ID()), encode(Registration{Boot: m.boot}))
	}
}

// reboot loses the leases, and the clock begins again.
func (m *machine) reboot() {
	m.boots++
	m.boot, m.clock = fmt.Sprint("boot-", m.boots), 0
	m.keeper, m.open, m.leased = nil, map[string]bool{}, map[netip.Addr]bool{}
	m.log("reboot")
}

// lease is the hook: it takes an address of an open key, without berthd.
func (m *machine) lease() {
	for _, key := range slices.Sorted(maps.Keys(m.open)) {
		b, ok := m.blocks.ofKey(testDomain, key)
		if !ok {
			if a, err := netip.ParseAddr(strings.TrimPrefix(key, "domain/lan-hq/static/")); err == nil {
				m.leased[a] = true
			}
			continue
		}
		for a := b.Addr(); b.Contains(a); a = a.Next() {
			if m.blocks.pool.Reserved(a) == "" && !m.leased[a] && m.r.IntN(3) == 0 {
				m.leased[a] = true
				return
			}
		}
	}
}

func (m *machine) release() {
	for _, a := range slices.SortedFunc(maps.Keys(m.leased), netip.Addr.Compare) {
		if m.r.IntN(2) == 0 {
			delete(m.leased, a)
		}
	}
}

// die ends a machine for good; an administrator forgets it, and its disk is empty when it
// comes back as another node.
func (m *machine) die() {
	if m.saved == nil {
		return
	}
	id := m.saved.Node
	m.reboot()
	m.saved = nil
	m.store.drop(alivePrefix + string(id))
	released, err := Forget(context.Background(), m.store, id)
	m.log("forget %s: %v %v", id, released, err)
}

func (m *machine) log(format string, args ...any) {
	m.trace = append(m.trace, fmt.Sprintf("node%d: ", m.index)+fmt.Sprintf(format, args...))
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

// check fails the test if two machines may use a key, or use an address.
func (w *world) check() {
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
			w.check()
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
			err := m.run(m.keeper.Round)
			var full *FullError
			if err != nil && !errors.As(err, &full) {
				w.t.Fatalf("node%d after all faults: %v\n%s", m.index, err,
					strings.Join(w.trace[max(0, len(w.trace)-w.depth):], "\n"))
			}
			w.check()
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
