package pools

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

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
	memory := lease.Memory{Addresses: []netip.Addr{netip.MustParseAddr(address)}}
	if err := m.Store.Update(m.t.Context(), func(tx *state.Tx) error {
		return lease.Remember(tx, lease.StickyKey("lan", name, "net1"), memory)
	}); err != nil {
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
