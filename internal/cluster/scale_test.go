package cluster

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"berth/ipam"
	"berth/specs"
)

// counting is a store that counts the entries that were read from it.
type counting struct {
	*memory
	lists, entries int
}

func (c *counting) List(ctx context.Context, prefixes ...string) (Snapshot, error) {
	s, err := c.memory.List(ctx, prefixes...)
	c.lists++
	c.entries += len(s.Entries)
	return s, err
}

// kept is a node's file in memory.
type kept struct{ file File }

func (k *kept) Load() (File, error) { return k.file.clone(), nil }
func (k *kept) Save(f File) error   { k.file = f.clone(); return nil }

// leasing is a node's database: it leases the lowest free address of an open block.
type leasing struct {
	blocks *Blocks
	open   openKeys
	leased map[netip.Addr]bool
}

func (l *leasing) Reset(keys []string) error              { return l.open.Reset(keys) }
func (l *leasing) Open(key string) error                  { return l.open.Open(key) }
func (l *leasing) Close(key string, _ bool) (bool, error) { return l.open.Close(key, false) }
func (l *leasing) Leased() (map[netip.Addr]bool, error)   { return l.leased, nil }

// take leases an address, or returns the zero one if no open block has any.
func (l *leasing) take() netip.Addr {
	for key := range l.open {
		b, ok := l.blocks.ofKey(testDomain, key)
		if !ok {
			continue
		}
		for a := b.Addr(); b.Contains(a); a = a.Next() {
			if l.blocks.pool.Reserved(a) == "" && !l.leased[a] {
				l.leased[a] = true
				return a
			}
		}
	}
	return netip.Addr{}
}

var manyNodes = flag.Int("nodes", 60, "nodes of TestManyNodes")

// TestManyNodes starts a hundred containers on each of many nodes. No address is leased twice,
// each node makes about as many rounds as it claims blocks, and a quiet node reads three entries.
func TestManyNodes(t *testing.T) {
	t.Parallel()
	nodes, each := *manyNodes, 100
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("10.0.0.0/8"), IPRange: netip.MustParsePrefix("10.64.0.0/14")}
	blocks, err := NewBlocks(ipam.NewPool("lan", subnet, nil), 16)
	if err != nil {
		t.Fatal(err)
	}
	store, ctx := &counting{memory: newMemory()}, context.Background()
	var keepers []*Keeper
	seen, rounds := map[netip.Addr]bool{}, 0
	round := func(k *Keeper) {
		for due := true; due; due, _ = k.Due() {
			if err := k.Round(ctx); err != nil {
				t.Fatal(err)
			}
			rounds++
		}
	}
	for i := range nodes {
		self, err := OpenSelf(SelfConfig{Store: store, Disk: &kept{NewFile()}, Name: fmt.Sprint("node", i), Boot: "boot"})
		if err != nil {
			t.Fatal(err)
		}
		db := &leasing{blocks: blocks, open: openKeys{}, leased: map[netip.Addr]bool{}}
		k := self.Keep(Config{Leases: db, Domain: testDomain, Blocks: blocks, Pool: NewPoolText(subnet, 16),
			Options: Options{KeepFree: 4, IdleAfter: time.Hour}, Now: func() time.Duration { return 0 }})
		keepers = append(keepers, k)
		round(k)
		for range each {
			a := db.take()
			if !a.IsValid() || seen[a] {
				t.Fatalf("node %d leases %v; by another node: %t", i, a, seen[a])
			}
			seen[a] = true
			if due, _ := k.Due(); due {
				round(k)
			}
		}
	}
	claims := 0
	for _, k := range keepers {
		claims += int(k.Counts().Claims)
	}
	// Each change of a node's keys needs one round, and another one that finds nothing to do.
	if most := 2*claims + nodes; rounds > most || len(seen) != nodes*each {
		t.Errorf("%d rounds for %d claims and %d addresses, want at most %d", rounds, claims, len(seen), most)
	}
	lists, entries := store.lists, store.entries
	for _, k := range keepers {
		if err := k.Touch(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if store.lists-lists != nodes || store.entries-entries != 2*nodes {
		t.Errorf("%d quiet nodes read %d entries in %d requests", nodes, store.entries-entries, store.lists-lists)
	}
	t.Logf("%d nodes, %d containers: %d claims, %d conflicts, %d rounds, %d entries read, %d keys in the store",
		nodes, len(seen), claims, keepers[0].Counts().Conflicts, rounds, store.entries, len(store.memory.entries))
}

// TestTouch checks that a touch finds that the node was forgotten, that the pool has changed,
// and that the store is older.
func TestTouch(t *testing.T) {
	t.Parallel()
	ctx, store, open := context.Background(), newMemory(), openKeys{}
	k := settledKeeper(t, store, open)
	if err := k.Touch(ctx); err != nil || k.stale {
		t.Errorf("a quiet node: %v, stale %t", err, k.stale)
	}
	pool := store.entries[testDomain.poolKey()]
	if _, err := store.Swap(ctx, Change{Key: pool.Key, Was: pool.Revision, Action: Put, Value: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	if err := k.Touch(ctx); err != nil || !k.stale {
		t.Errorf("another pool: %v, stale %t", err, k.stale)
	}
	revision := store.revision
	store.revision = 1
	if err := k.Touch(ctx); !errors.Is(err, ErrOlder) || len(open) == 0 {
		t.Errorf("an older store: %v, open %v", err, open)
	}
	store.revision = revision
	if _, err := Forget(ctx, store, k.ID()); err != nil {
		t.Fatal(err)
	}
	if err := k.Touch(ctx); !errors.Is(err, ErrForgotten) || len(open) != 0 {
		t.Errorf("a forgotten node: %v, open %v", err, open)
	}
}
