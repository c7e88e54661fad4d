package keep

import (
	"log/slog"
	"testing"

	"berth/hook"
	"berth/internal/testnet"
)

// TestHealedLease removes the parent of a container with a lease and makes it again. The
// healed interface has its address and route, and the server is asked whether the lease holds.
func TestHealedLease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Seconds: 3600})
	b := s.start("a")
	was, begun := s.record("a"), discovers(server)
	s.keeper()
	testnet.Run(t, testnet.Here(t), "ip", "link", "delete", s.parent)
	server.Stop()
	testnet.Veth(t, s.parent, testnet.Here(t), "wire", s.lan)
	testnet.Address(t, s.lan, "wire", "192.0.2.1/24")
	server.Start()
	h := &hook.Hook{Dirs: s.dirs, Store: s.store, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	if healed, err := h.Heal(t.Context()); err != nil || len(healed) != 1 {
		t.Fatalf("healed %v, error %v", healed, err)
	}
	if !s.has(b, was.Addresses[0].String()) {
		t.Errorf("addresses %s", s.addresses(b))
	}
	testnet.Eventually(t, "the lease is confirmed", func() bool {
		now := s.record("a").DHCP[0]
		return now.Lease != nil && now.Lease.Renewed.After(was.DHCP[0].Lease.Renewed) && now.Lease.Address == was.Addresses[0]
	})
	if n := discovers(server); n != begun {
		t.Errorf("%d further DISCOVERs", n-begun)
	}
}
