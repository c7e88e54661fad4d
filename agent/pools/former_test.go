package pools

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"berth/internal/cluster"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// stickyMember starts a member whose network is sticky.
func stickyMember(t *testing.T, name string, c specs.ClusterConfig) *testMember {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "networks.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := []byte("sticky = true\n" + oneBlock)
	if err := os.WriteFile(filepath.Join(dir, "networks.d", "lan.toml"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return startMember(t, name, c, dir)
}

// remember acts as the hook does when a container has started.
func (m *testMember) remember(name, address string) {
	m.t.Helper()
	m.update(func(tx *state.Tx) error { return rememberNow(tx, name, address) })
}

func rememberNow(tx *state.Tx, name, address string) error {
	memory := lease.Memory{Addresses: []netip.Addr{netip.MustParseAddr(address)}, Started: time.Now()}
	return lease.Remember(tx, lease.StickyKey("lan", name, "net1"), memory)
}

// update changes the member's database.
func (m *testMember) update(change func(tx *state.Tx) error) {
	m.t.Helper()
	if err := m.Store.Update(m.t.Context(), change); err != nil {
		m.t.Fatal(err)
	}
	m.Wake()
}

// knows waits until the member's database has a container's former address, or none if it is "".
func (m *testMember) knows(name, address string) {
	m.t.Helper()
	var want []netip.Addr
	if address != "" {
		want = []netip.Addr{netip.MustParseAddr(address)}
	}
	testnet.Eventually(m.t, "the former address of "+name+" is "+address, func() (known bool) {
		err := m.Store.View(m.t.Context(), func(tx *state.Tx) error {
			all, err := lease.Former(tx, "lan-hq", lease.FormerID(name, "net1"))
			known = slices.Equal(all, want)
			return err
		})
		return err == nil && known
	})
}

// TestFormer checks that a node learns the addresses of containers on another node: of those that
// started earlier, of those that start now, and of those that it missed while its watch was lost.
// It drops those of a container that has started here.
func TestFormer(t *testing.T) {
	t.Parallel()
	server := testnet.StartEtcd(t, 1)[0]
	c := specs.ClusterConfig{Etcd: []string{server.URL}}
	a := stickyMember(t, "a", c)
	a.remember("early", "192.0.2.65")
	b := stickyMember(t, "b", c)
	b.knows("early", "192.0.2.65")
	a.remember("web", "192.0.2.66")
	b.knows("web", "192.0.2.66")
	a.knows("web", "")
	b.remember("web", "192.0.2.67")
	a.knows("web", "192.0.2.67")
	b.knows("web", "")
	compactUnseen(t, server, "http://127.0.0.1:20999")
	a.remember("late", "192.0.2.68")
	b.knows("late", "192.0.2.68")
}

// stickyPair returns two members of a cluster of its own, and etcd's address.
func stickyPair(t *testing.T) (a, b *testMember, etcd string) {
	t.Helper()
	etcd = testnet.StartEtcd(t, 1)[0].URL
	c := specs.ClusterConfig{Etcd: []string{etcd}}
	return stickyMember(t, "a", c), stickyMember(t, "b", c), etcd
}

// TestFormerOfBrokenFile checks that the address of a container is published although, when it had
// started, the file of its network could not be read, and one of the memories cannot.
func TestFormerOfBrokenFile(t *testing.T) {
	t.Parallel()
	a, b, _ := stickyPair(t)
	a.remember("early", "192.0.2.65")
	b.knows("early", "192.0.2.65")
	file := filepath.Join(a.dir, "networks.d", "lan.toml")
	whole, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append([]byte("???\n"), whole...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.update(func(tx *state.Tx) error {
		err := rememberNow(tx, "damaged", "192.0.2.66")
		if err == nil {
			err = tx.Bucket("sticky").Put([]byte(lease.StickyKey("lan", "damaged", "net1")), []byte("x"))
		}
		if err == nil {
			err = rememberNow(tx, "web", "192.0.2.67")
		}
		return err
	})
	a.steps()
	if err := os.WriteFile(file, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	a.Wake()
	b.knows("web", "192.0.2.67")
}

// TestFormerOfRemovedNetwork checks that a node deletes the addresses of a domain without a network, and
// reads them again after the network was made again.
func TestFormerOfRemovedNetwork(t *testing.T) {
	t.Parallel()
	a, b, _ := stickyPair(t)
	a.remember("web", "192.0.2.65")
	b.knows("web", "192.0.2.65")
	file := filepath.Join(b.dir, "networks.d", "lan.toml")
	if err := os.Rename(file, file+".away"); err != nil {
		t.Fatal(err)
	}
	b.Wake()
	b.knows("web", "")
	if err := os.Rename(file+".away", file); err != nil {
		t.Fatal(err)
	}
	b.Wake()
	b.knows("web", "192.0.2.65")
}

// steps waits until the member's loop has made a step that began after the call.
func (m *testMember) steps() {
	m.t.Helper()
	for range 3 { // the first may have begun before, and the numbers are of a step's middle
		before := m.measured.Load()
		testnet.Eventually(m.t, "the loop makes a step", func() bool {
			m.Wake()
			return m.measured.Load() != before
		})
	}
}

// TestFormerIsBounded checks that a running cluster deletes the addresses of the containers that were
// started longest ago, in etcd and in the databases of its nodes.
func TestFormerIsBounded(t *testing.T) {
	t.Parallel()
	a, b, etcd := stickyPair(t)
	name := func(i int) string { return fmt.Sprint("job", i) }
	for from := 0; from < cluster.MaxFormer+2*formerSlack; from += formerSlack {
		a.update(func(tx *state.Tx) (err error) {
			for i := from; i < from+formerSlack && err == nil; i++ {
				err = rememberNow(tx, name(i), "192.0.2.65")
			}
			return err
		})
		b.knows(name(from+formerSlack-1), "192.0.2.65")
	}
	b.knows(name(0), "")
	r, err := openClient(t, etcd).Get(t.Context(), "/berth/v1/former/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil || r.Count > cluster.MaxFormer+2*formerSlack {
		t.Errorf("etcd has %d former addresses, %v", r.Count, err)
	}
}
