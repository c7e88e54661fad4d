package etcd

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"berth/internal/cluster"
	"berth/internal/testnet"
	"berth/ipam"
	"berth/specs"
)

// fleet checks that no key is open on two nodes.
type fleet struct {
	t      *testing.T
	mu     sync.Mutex
	owner  map[string]int
	opened int
}

// node is a simulated node's lease database: addresses are leased at random.
type node struct {
	*fleet
	index  int
	leased map[netip.Addr]bool
}

func (n *node) Reset(keys []string) error {
	n.mu.Lock()
	for key, owner := range n.owner {
		if owner == n.index {
			delete(n.owner, key)
		}
	}
	n.mu.Unlock()
	for _, key := range keys {
		if err := n.Open(key); err != nil {
			return err
		}
	}
	return nil
}

func (n *node) Open(key string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if other, taken := n.owner[key]; taken && other != n.index {
		n.t.Errorf("node %d and node %d both have %s", other, n.index, key)
	}
	n.owner[key] = n.index
	n.opened++
	return nil
}

func (n *node) Close(key string, _ bool) (bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.owner[key] == n.index {
		delete(n.owner, key)
	}
	return true, nil
}

func (n *node) Leased() (map[netip.Addr]bool, error) { return n.leased, nil }

// testPool is a range of eight blocks of eight addresses: fewer than the nodes of
// TestFaultsOfMembers want, so that they compete for every block.
func testPool(t *testing.T) (*cluster.Blocks, cluster.PoolText) {
	t.Helper()
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("198.51.100.0/24"), IPRange: netip.MustParsePrefix("198.51.100.64/26")}
	blocks, err := cluster.NewBlocks(ipam.NewPool("lan", subnet, nil), 8)
	if err != nil {
		t.Fatal(err)
	}
	return blocks, cluster.NewPoolText(subnet, 8)
}

func (f *fleet) keeper(store cluster.Store, index int, disk cluster.Disk) (*cluster.Keeper, error) {
	blocks, text := testPool(f.t)
	start := time.Now()
	// An hour passes in a tenth of a second, so that blocks are given back.
	now := func() time.Duration { return time.Since(start) * 36000 }
	self, err := cluster.OpenSelf(cluster.SelfConfig{Store: store, Disk: disk,
		Name: fmt.Sprint("node", index), Boot: fmt.Sprint("boot", index)})
	if err != nil {
		return nil, err
	}
	return self.Keep(cluster.Config{Leases: &node{fleet: f, index: index}, Domain: "lan-hq",
		Blocks: blocks, Pool: text, Now: now,
		Options: cluster.Options{KeepFree: 4 + index, IdleAfter: time.Minute, ReclaimAfter: time.Hour}}), nil
}

// TestFaultsOfMembers lets eight nodes claim and give back blocks on three members of etcd,
// of which one after the other is paused or killed. Requests end before their answers, and
// berthd restarts from its file. No key is ever open on two nodes.
func TestFaultsOfMembers(t *testing.T) {
	t.Parallel()
	members := testnet.StartEtcd(t, 3)
	f := &fleet{t: t, owner: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 8 {
		store, disk := openStore(t, testnet.EtcdURLs(members)...), cluster.Directory(t.TempDir())
		all.Go(func() { f.live(ctx, store, i, disk) })
	}
	for i := range 2 {
		m := members[i%3]
		if i%2 == 0 {
			m.Kill()
			f.untilOpened(20)
			m.Start(t, m.URL)
		} else {
			m.Signal(t, syscall.SIGSTOP)
			f.untilOpened(20)
			m.Signal(t, syscall.SIGCONT)
		}
		f.untilOpened(20)
	}
	cancel()
	all.Wait()
}

// untilOpened waits until nodes have opened so many more keys: the fleet makes progress
// with two of three members.
func (f *fleet) untilOpened(more int) {
	f.t.Helper()
	f.mu.Lock()
	target := f.opened + more
	f.mu.Unlock()
	waitFor(f.t, "progress of the nodes", func(context.Context) error {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.opened < target {
			return fmt.Errorf("%d keys were opened, want %d", f.opened, target)
		}
		return nil
	})
}

// live is a node's berthd, and its restarts.
func (f *fleet) live(ctx context.Context, store cluster.Store, index int, disk cluster.Disk) {
	for ctx.Err() == nil {
		k, err := f.keeper(store, index, disk)
		if err != nil {
			f.t.Error(err)
			return
		}
		for range 20 {
			k.Asked = rand.IntN(2) == 0
			// Some requests end before their answers.
			short, cancel := context.WithTimeout(ctx, time.Duration(1+rand.IntN(200))*10*time.Millisecond/20)
			err := k.Round(short)
			cancel()
			if errors.Is(err, cluster.ErrCloned) || errors.Is(err, cluster.ErrForgotten) || errors.Is(err, cluster.ErrOlder) {
				f.t.Error(err)
			}
			if err != nil && ctx.Err() == nil { // a member without a leader answers late
				long, cancel := context.WithTimeout(ctx, 2*time.Second)
				_ = k.Round(long)
				cancel()
			}
		}
	}
}

// TestTwoMachinesOfOneIdentity checks on etcd that a cloned state directory is found while
// the first machine is present, and after it, and that the clone uses no block.
func TestTwoMachinesOfOneIdentity(t *testing.T) {
	t.Parallel()
	urls := testnet.EtcdURLs(testnet.StartEtcd(t, 1))
	store := openStore(t, urls...)
	f := &fleet{t: t, owner: map[string]int{}}
	dir := cluster.Directory(t.TempDir())
	first, err := f.keeper(store, 1, dir)
	if err != nil || first.Start(t.Context()) != nil {
		t.Fatal(err)
	}
	presence, absent := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- store.Present(presence, "alive/"+string(first.ID()), []byte(`{"name":"node1","boot":"boot1"}`))
	}()
	waitFor(t, "presence", func(ctx context.Context) error {
		s, err := store.List(ctx, "alive/")
		if err == nil && len(s.Entries) == 0 {
			err = errors.New("absent")
		}
		return err
	})
	copied := cluster.Directory(t.TempDir())
	file, err := dir.Load()
	if err != nil || copied.Save(file) != nil {
		t.Fatal(err)
	}
	clone, err := f.keeper(store, 2, copied)
	if err != nil {
		t.Fatal(err)
	}
	if err := clone.Start(t.Context()); !errors.Is(err, cluster.ErrAlive) {
		t.Errorf("the clone's start: %v, want ErrAlive", err)
	}
	if err := first.Round(t.Context()); err != nil {
		t.Error(err)
	}
	absent()
	<-ended
	for _, owner := range f.owner {
		if owner == 2 {
			t.Errorf("the clone has opened keys: %v", f.owner)
		}
	}
}
