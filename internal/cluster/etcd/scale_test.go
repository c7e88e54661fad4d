package etcd

import (
	"context"
	"flag"
	"fmt"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"berth/internal/cluster"
	"berth/internal/testnet"
	"berth/ipam"
	"berth/specs"
)

var etcdNodes = flag.Int("nodes", 15, "nodes of TestManyNodesOnEtcd")

// busy is a node's database in which a hundred addresses are leased, of the blocks that it gets.
type busy struct {
	blocks *cluster.Blocks
	open   map[string]bool
}

func (b *busy) Reset(keys []string) error {
	clear(b.open)
	for _, key := range keys {
		b.open[key] = true
	}
	return nil
}
func (b *busy) Open(key string) error                  { b.open[key] = true; return nil }
func (b *busy) Close(key string, _ bool) (bool, error) { delete(b.open, key); return true, nil }

// Leased returns every address of the first blocks, up to a hundred.
func (b *busy) Leased() (map[netip.Addr]bool, error) {
	leased := map[netip.Addr]bool{}
	for key := range b.open {
		block, _, err := b.blocks.Part("lan-hq", key)
		for a := block.Addr(); err == nil && a.IsValid() && block.Contains(a) && len(leased) < 100; a = a.Next() {
			leased[a] = true
		}
	}
	return leased, nil
}

// ram is a node's file in memory: the time of a disk is not that of etcd.
type ram struct{ file cluster.File }

func (r *ram) Load() (cluster.File, error) { return r.file, nil }
func (r *ram) Save(f cluster.File) error   { r.file = f; return nil }

// TestManyNodesOnEtcd starts a hundred containers on each of many nodes on one etcd, then lets each
// node read etcd once more, as a quiet one does, and once as it does before a claim. It logs what
// that costs etcd and a node: go test ./internal/cluster/etcd -run TestManyNodesOnEtcd -v -nodes 1000
func TestManyNodesOnEtcd(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	store := openStore(t, server.URL)
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("10.0.0.0/8"), IPRange: netip.MustParsePrefix("10.64.0.0/14")}
	blocks, err := cluster.NewBlocks(ipam.NewPool("lan", subnet, nil), 16)
	if err != nil {
		t.Fatal(err)
	}
	cost := func(what string, do func()) {
		cpu, began := server.CPU(t), time.Now()
		do()
		t.Logf("%d nodes: %s: %v of etcd's processor, %v in all", *etcdNodes, what, server.CPU(t)-cpu,
			time.Since(began).Round(time.Millisecond))
	}
	var last *cluster.Keeper // the others are dropped: each has a view of all keys
	var ids []cluster.NodeID
	owner := map[string]int{}
	cost("all starts", func() {
		for i := range *etcdNodes {
			self, err := cluster.OpenSelf(cluster.SelfConfig{Store: store, Disk: &ram{cluster.NewFile()},
				Name: fmt.Sprint("node", i), Boot: "boot"})
			if err != nil {
				t.Fatal(err)
			}
			db := &busy{blocks: blocks, open: map[string]bool{}}
			k := self.Keep(cluster.Config{Leases: db, Domain: "lan-hq", Blocks: blocks, Pool: cluster.NewPoolText(subnet, 16),
				Options: cluster.Options{KeepFree: 4, IdleAfter: time.Hour}, Now: func() time.Duration { return 0 }})
			for due := true; due; due, _ = k.Due() {
				if err := k.Round(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for key := range db.open {
				if other, taken := owner[key]; taken {
					t.Fatalf("nodes %d and %d both have %s", other, i, key)
				}
				owner[key] = i
			}
			last, ids = k, append(ids, k.ID())
		}
	})
	touch := func(id cluster.NodeID) {
		if _, err := store.List(t.Context(), "domain/lan-hq/pool", "node/"+string(id), "alive/"+string(id)); err != nil {
			t.Fatal(err)
		}
	}
	cost("one touch of each", func() {
		for _, id := range ids {
			touch(id)
		}
	})
	cost("ten rounds of one", func() {
		for range 10 {
			if err := last.Round(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cost("two watches of each", func() {
		for _, id := range ids {
			for _, prefix := range []string{"node/" + string(id), "domain/lan-hq/pool"} {
				go func() { _ = store.Watch(ctx, prefix, last.View().Revision, func(cluster.Update) {}) }()
			}
		}
		for range 100 {
			touch(ids[0])
		}
	})
	snapshot, err := store.List(t.Context(), "domain/lan-hq/", "node/", "alive/")
	if err != nil {
		t.Fatal(err)
	}
	before := heap()
	view := cluster.NewView("lan-hq", blocks, snapshot)
	t.Logf("%d keys; a node's view of them has %d kB", len(snapshot.Entries), (heap()-before)>>10)
	runtime.KeepAlive(view)
	runtime.KeepAlive(snapshot)
	t.Logf("etcd has %d MB of memory", server.Memory(t)>>20)
}

func heap() int64 {
	runtime.GC()
	runtime.GC() // pools of memory are emptied by the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
