package daemon

import (
	"net/netip"
	"testing"

	"berth/internal/foreign"
	"berth/internal/state"
	"berth/network"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
)

// TestForeignAddressesOf states which addresses of other programs berth does not give out, and on
// which parents.
func TestForeignAddressesOf(t *testing.T) {
	addr := netip.MustParseAddr
	observed := []*state.Attachment{{Observed: true, Containers: []string{"netns:cam"}, Holder: "cam", Interface: "eth0", ParentIndex: 4,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.7/24")}}}
	holding := func(engine, name string, addresses ...string) foreign.Holding {
		h := foreign.Holding{Network: specs.EngineNetwork{Engine: engine, Name: name}}
		for _, a := range addresses {
			h.Addresses = append(h.Addresses, addr(a))
		}
		return h
	}
	holdings := []foreign.Holding{
		holding("docker", "home", "192.0.2.7", "192.0.2.8"),
		holding("podman", "lan", "192.0.2.7", "192.0.2.9"),
		holding("podman", "bridge", "192.0.2.10"),
		holding("cni", "lan", "192.0.2.11"),
		holding("cni", "lan", "192.0.2.11"),
	}
	networks := []foreign.Network{
		{Name: specs.EngineNetwork{Engine: "podman", Name: "lan"}, Parent: "lan0"},
		{Name: specs.EngineNetwork{Engine: "cni", Name: "lan"}, Parent: "missing"},
	}
	links := []network.LinkInfo{{Name: "eth1", Index: 4}, {Name: "eth2", AltNames: []string{"lan0"}, Index: 5}}
	want := []state.ForeignAddress{
		{Addr: addr("192.0.2.7"), ParentIndex: 4, Holder: "eth0 of cam"},
		{Addr: addr("192.0.2.8"), Holder: "docker:home"},
		{Addr: addr("192.0.2.7"), ParentIndex: 5, Holder: "podman:lan"},
		{Addr: addr("192.0.2.9"), ParentIndex: 5, Holder: "podman:lan"},
		{Addr: addr("192.0.2.11"), Holder: "cni:lan"},
	}
	got := foreignAddresses(observed, holdings, networks, links)
	if d := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
		t.Errorf("addresses (-want +got):\n%s", d)
	}
}
