package main

import (
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const pooledFile = `driver = "macvlan"
parent = "` + parent + `"
[[subnet]]
subnet = "192.0.2.0/24"
gateway = "192.0.2.1"
ip_range = "192.0.2.64/26"
exclude = ["192.0.2.72/29"]
`

// TestNetworksHaveTheUseOfTheirPools requires that the agent reports each network with its
// held and reserved addresses, and one whose parent does not exist with the reason.
func TestNetworksHaveTheUseOfTheirPools(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", pooledFile)
	l.writeNetwork("none", "driver = \"macvlan\"\nparent = \"missing0\"\n[[subnet]]\nsubnet = \"198.51.100.0/24\"\n")
	testnet.Address(t, l.host, parent, "192.0.2.66/24")
	l.startAgent()
	domain := (&state.Attachment{ParentIndex: testnet.Link(t, l.host, parent).Attrs().Index}).Domain()
	at := netip.MustParseAddr
	mustSucceed(t, state.Open(l.state).Update(t.Context(), func(tx *state.Tx) error {
		web := lease.Owner{Key: "web/net1", Container: "web", Network: "lan"}
		if err := lease.In(tx, domain).ClaimAddr(at("192.0.2.9"), web); err != nil { // outside of the range
			return err
		}
		return lease.In(tx, domain).ClaimAddr(at("192.0.2.64"), lease.Owner{Key: "shim", Network: "lan"})
	}))
	networks, err := l.client.Networks(t.Context())
	mustSucceed(t, err)
	if len(networks) != 2 || networks[0].Name != "lan" || len(networks[0].Pools) != 1 || networks[0].Problem != "" {
		t.Fatalf("networks %+v", networks)
	}
	want := specs.PoolStatus{
		Subnet: netip.MustParsePrefix("192.0.2.0/24"), Range: netip.MustParsePrefix("192.0.2.64/26"), Size: 64 - 8 - 1, Free: 64 - 8 - 1 - 1,
		Held: []specs.PoolAddress{{Address: at("192.0.2.9"), Holder: "web"}, {Address: at("192.0.2.64"), Holder: "the host shim"}},
		Reserved: []specs.PoolAddress{
			{Address: at("192.0.2.0"), Holder: "the network's own"}, {Address: at("192.0.2.1"), Holder: "the gateway"},
			{Address: at("192.0.2.255"), Holder: "the broadcast address"},
			{Address: at("192.0.2.66"), Holder: "in use by this host or another"},
		},
		Exclude: []specs.Exclusion{{Prefix: netip.MustParsePrefix("192.0.2.72/29")}},
	}
	same := cmp.Options{cmpopts.EquateEmpty(), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}, specs.Exclusion{})}
	if diff := cmp.Diff(want, networks[0].Pools[0], same); diff != "" {
		t.Error(diff)
	}
	if none := networks[1]; none.Problem == "" || len(none.Pools) != 1 || len(none.Pools[0].Held) > 0 {
		t.Errorf("a network without a parent: %+v", none)
	}
}
