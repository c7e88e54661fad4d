package cluster

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
)

// restore puts the store back to a copy, as an administrator does with a backup, or with a new
// and empty etcd. Requests that were on their way are lost. Presences end.
func (w *world) restore(backup *memory) {
	*w.store = memory{revision: backup.revision, entries: maps.Clone(backup.entries)}
	for key := range w.store.entries {
		if strings.HasPrefix(key, alivePrefix) {
			w.store.drop(key)
		}
	}
	w.old = Snapshot{}
}

// calmly lets each node do something without a fault.
func (w *world) calmly(do func(m *machine)) {
	for _, m := range w.machines {
		cut := m.cut
		m.calm, m.cut = true, false
		do(m)
		m.calm, m.cut = false, cut
	}
}

// forgetDead forgets the nodes that were forgotten since the backup, as an administrator has to.
func (w *world) forgetDead() {
	s, _ := w.store.List(context.Background(), nodePrefix)
	for id := range NewView("", nil, s).Nodes {
		if !slices.ContainsFunc(w.machines, func(m *machine) bool { return m.saved != nil && m.saved.Node == id }) {
			if _, err := Forget(context.Background(), w.store, id); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// TestRestoredStore restores the store at random times from an earlier backup, or loses all of
// it. Each node has seen the store shortly before, and comes back before the revision is higher
// than that. No two nodes ever have a key, and afterwards the store lists the keys of the nodes'
// files again.
func TestRestoredStore(t *testing.T) {
	t.Parallel()
	older, retaken := 0, 0
	for seed := range uint64(200) {
		w := newWorld(t, seed)
		backup := newMemory()
		for range 1 + w.r.IntN(3) {
			for range 20 + w.r.IntN(150) {
				w.act()
				w.checkPromises()
				if w.r.IntN(60) == 0 {
					backup = &memory{revision: w.store.revision, entries: maps.Clone(w.store.entries)}
				}
			}
			w.store.revision += 1000 // by programs that share etcd
			w.calmly(func(m *machine) {
				m.start()
				_ = m.runStep(m.keeper.Touch)
			})
			before := len(w.trace)
			w.restore(backup)
			for i := range 4 { // a node may first have to give back a key that another node has
				if i == 2 {
					w.forgetDead()
				}
				w.calmly(func(m *machine) {
					if err := m.runStep(m.keeper.Round); errors.Is(err, ErrOlder) {
						older++
					}
					w.checkPromises()
				})
			}
			retaken += strings.Count(strings.Join(w.trace[before:], "\n"), "takes domain")
		}
		// An administrator raises the revision.
		w.store.revision += 10000
		w.settle()
		w.checkListed()
	}
	if older == 0 || retaken == 0 {
		t.Errorf("nodes found an older store %d times and took %d keys again", older, retaken)
	}
}

// TestLateAfterRestore lets a node come back to a restored store whose revision is higher already
// than the node has seen. It takes its registration and its keys again, unless another node has
// taken them meanwhile, and is not taken for a clone.
func TestLateAfterRestore(t *testing.T) {
	t.Parallel()
	ctx, store, open, disk := context.Background(), newMemory(), openKeys{}, &kept{NewFile()}
	start := func(boot string) *Keeper {
		self := openSelf(t, store, disk, boot)
		k := keepOf(t, self, testDomain, open)
		if err := k.Round(ctx); err != nil {
			t.Fatal(err)
		}
		return k
	}
	start("boot1")
	backup := memory{revision: store.revision, entries: maps.Clone(store.entries)}
	k := start("boot2")
	if k.Asked = true; k.Round(ctx) != nil {
		t.Fatal("no second block")
	}
	had := maps.Clone(open)
	*store = backup
	store.revision += 1000
	if err := k.Round(ctx); err != nil && !errors.Is(err, ErrOlder) {
		t.Error(err)
	}
	v, err := k.readView(ctx, k.domain.prefix(), nodePrefix, alivePrefix)
	if err != nil || !maps.Equal(had, open) || v.Nodes[k.ID()].Boot != "boot2" {
		t.Errorf("the node has %v open, want %v; %+v, %v", open, had, v, err)
	}
	for key := range open {
		if v.Claims[key].Node != k.ID() {
			t.Errorf("the store gives %q to %+v", key, v.Claims[key])
		}
	}
}

// TestLostStore checks that a node writes its registration, its pool and its blocks to an empty
// store again, that it takes no other block meanwhile, and that it does so until the revision is
// higher than before.
func TestLostStore(t *testing.T) {
	t.Parallel()
	ctx, store, open := context.Background(), newMemory(), openKeys{}
	k := settledKeeper(t, store, open)
	had, revision := len(open), store.revision
	*store = memory{revision: 1, entries: map[string]Entry{}}
	k.Asked = true
	if err := k.Round(ctx); !errors.Is(err, ErrOlder) || !strings.Contains(err.Error(), "etcd is lost") {
		t.Errorf("a lost store: %v", err)
	}
	v, err := k.readView(ctx, k.domain.prefix(), nodePrefix, alivePrefix)
	if err != nil || len(v.Claims) != had || len(open) != had || v.Nodes[k.ID()].Revision == 0 || v.Pool.Revision == 0 {
		t.Errorf("the store has %+v, want the %d open keys %v; %v", v, had, open, err)
	}
	store.revision = revision + 1
	if err := k.Round(ctx); err != nil {
		t.Error(err)
	}
}
