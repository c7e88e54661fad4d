package check

import (
	"fmt"
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/network"
	"berth/specs"
)

func goodNetwork() Network {
	return Network{
		Network: &specs.Network{
			Name: "lan", Driver: specs.Macvlan, Mode: specs.ModeBridge, Parent: "eth1", MTU: 1400, IPAM: specs.IPAMLocal,
			Subnets: []specs.Subnet{{
				Subnet: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1"),
				IPRange: netip.MustParsePrefix("192.0.2.64/26"),
			}, {
				Subnet: netip.MustParsePrefix("2001:db8::/64"),
			}},
		},
		Parent: goodParent().Parent,
		Others: []*specs.Network{{Name: "dmz", Driver: specs.Macvlan, Mode: specs.ModePrivate, Parent: "eth1"}},
		Host:   []netip.Addr{netip.MustParseAddr("192.0.2.9")},
		Held:   []lease.Lease{{Addr: netip.MustParseAddr("192.0.2.64")}, {Addr: netip.MustParseAddr("192.0.2.10")}},
	}
}

func userOn(d specs.Driver, m specs.Mode, of string) func(*Network) {
	return func(n *Network) {
		o := network.Occupant{Name: "net1", Driver: d, Mode: m, Flag: map[specs.Driver]specs.IPvlanFlag{specs.IPvlan: specs.FlagBridge}[d]}
		n.Parent.Users = []User{{Occupant: o, Network: of, Container: "web"}}
	}
}

// holdLeases leases the first n addresses of the range.
func holdLeases(count int) func(*Network) {
	return func(n *Network) {
		n.Held = nil
		for a := n.Subnets[0].IPRange.Addr(); len(n.Held) < count; a = a.Next() {
			n.Held = append(n.Held, lease.Lease{Addr: a})
		}
	}
}

// foreignWith returns an interface that berth did not create, with addresses.
func foreignWith(addresses ...string) []Foreign {
	f := Foreign{Container: "cam", Interface: "eth0"}
	for _, a := range addresses {
		f.Addresses = append(f.Addresses, netip.MustParsePrefix(a))
	}
	return []Foreign{f}
}

// TestForeignAddressesThatAreNotGivenOut has no line.
func TestForeignAddressesThatAreNotGivenOut(t *testing.T) {
	outside, dhcp, excluded, host := goodNetwork(), goodNetwork(), goodNetwork(), goodNetwork()
	outside.Foreign = foreignWith("192.0.2.10/24", "198.51.100.70/24")
	dhcp.Foreign, dhcp.IPAM = foreignWith("192.0.2.70/24"), specs.IPAMDHCP
	excluded.Foreign = foreignWith("192.0.2.70/24")
	excluded.Subnets[0].Exclude = []specs.Exclusion{specs.ExcludeAddr(netip.MustParseAddr("192.0.2.70"))}
	host.Foreign = foreignWith("192.0.2.70/24") // an interface of the host's own
	host.Host = append(host.Host, netip.MustParseAddr("192.0.2.70"))
	for _, n := range []Network{outside, dhcp, excluded, host} {
		for _, l := range judgeNetwork(n) {
			if l.Check == "foreign" {
				t.Errorf("%+v", l)
			}
		}
	}
}

func TestJudgeNetwork(t *testing.T) {
	goldenVariations(t, "network", goodNetwork, judgeNetwork, []variation[Network]{
		{"the parent's MTU", "MTU", Pass, func(n *Network) { n.MTU = 0 }},
		{"MTU above the parent's", "MTU", Fail, func(n *Network) { n.MTU = 9000 }},
		{"passthru taken by another network", "beside", Fail, userOn(specs.Macvlan, specs.ModePassthru, "tap")},
		{"ipvlan on the parent", "beside", Fail, userOn(specs.IPvlan, specs.ModeL2, "tap")},
		{"no IPv6 in the kernel", "kernel", Fail, func(n *Network) { n.NoIPv6 = fmt.Errorf("%w: IPv6 is switched off", network.ErrUnsupported) }},
		{"no IPv6 in the kernel for SLAAC", "kernel", Fail, func(n *Network) { n.NoIPv6, n.IPv6 = network.ErrUnsupported, specs.IPv6SLAAC }},
		{"read-only sysctls", "sysctls", Fail, func(n *Network) { n.Unset = []string{"net.ipv6.conf.default.disable_ipv6=1"} }},
		{"sysctls not looked at", "sysctls", Warn, func(n *Network) { n.UnsetErr = fmt.Errorf("make a network namespace: operation not permitted") }},
		{"an interface of the host", "beside", Fail, func(n *Network) {
			n.Parent.Users = []User{{Occupant: network.Occupant{Name: "ipvl0", Driver: specs.IPvlan, Mode: specs.ModeL3}}}
		}},
		{"an ipvlan network beside", "shares", Warn, func(n *Network) { n.Others[0].Driver, n.Others[0].Mode = specs.IPvlan, specs.ModeL2 }},
		{"a passthru network beside", "shares", Warn, func(n *Network) { n.Others[0].Mode = specs.ModePassthru }},
		{"host's address in the range", "IPv4", Warn, func(n *Network) { n.Host = append(n.Host, netip.MustParseAddr("192.0.2.65")) }},
		{"the parent is the gateway", "IPv4", Fail, func(n *Network) { n.Parent.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }},
		{"other programs' addresses in the range", "foreign", Warn, func(n *Network) {
			n.Foreign = foreignWith("192.0.2.70/24", "192.0.2.10/24", "2001:db8::7/64", "192.0.2.71/24", "192.0.2.72/24", "192.0.2.73/24")
		}},
		{"no range", "IPv4", Pass, func(n *Network) { n.Subnets[0].IPRange = netip.Prefix{} }},
		{"few addresses left", "IPv4", Warn, holdLeases(60)},
		{"no address left", "IPv4", Fail, holdLeases(64)},
	})
}

// TestPassthruInUse: a passthru network with a running container is in normal use.
func TestPassthruInUse(t *testing.T) {
	n := goodNetwork()
	n.Mode, n.Others = specs.ModePassthru, nil
	userOn(specs.Macvlan, specs.ModePassthru, "lan")(&n)
	if got := mustFindLine(t, judgeNetwork(n), "beside"); got.Result != Warn {
		t.Errorf("its own container: %+v", got)
	}
	userOn(specs.Macvlan, specs.ModeBridge, "lan")(&n)
	if got := mustFindLine(t, judgeNetwork(n), "beside"); got.Result != Fail {
		t.Errorf("a bridge-mode interface from before: %+v", got)
	}
	n.Parent.Users = nil
	if got := mustFindLine(t, judgeNetwork(n), "beside"); got.Result != Pass {
		t.Errorf("nobody: %+v", got)
	}
}

// TestAddressesElsewhere: one subnet may be full as long as another of the family is not.
func TestAddressesElsewhere(t *testing.T) {
	for _, c := range []struct {
		other string
		want  Result
	}{{"198.51.100.0/24", Warn}, {"198.51.100.0/30", Warn}, {"2001:db8:1::/64", Fail}} {
		n := goodNetwork()
		holdLeases(64)(&n)
		n.Subnets[1] = specs.Subnet{Subnet: netip.MustParsePrefix(c.other)}
		if got := mustFindLine(t, judgeNetwork(n), "IPv4"); got.Result != c.want {
			t.Errorf("beside %s: %+v, want %s", c.other, got, c.want)
		}
	}
}

func TestJudgeNetworkWithoutParent(t *testing.T) {
	n := goodNetwork()
	n.Parent = Parent{Asked: "eth1", Err: fmt.Errorf("parent: %w", network.ErrNoLink)}
	for _, l := range judgeNetwork(n) {
		if l.Result != Pass {
			t.Errorf("the parent's own lines tell that it is missing: %+v", l)
		}
	}
}
