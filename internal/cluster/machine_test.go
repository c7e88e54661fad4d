package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
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

// runStep runs a step of berthd, which dies if it crashes in it.
func (m *machine) runStep(step func(ctx context.Context) error) (err error) {
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
	err := m.runStep(func(ctx context.Context) error {
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

// round is a round of berthd; it is present afterwards if the store answers.
func (m *machine) round() {
	if m.keeper == nil {
		return
	}
	m.keeper.Asked = m.r.IntN(3) == 0
	err := m.runStep(m.keeper.Round)
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
