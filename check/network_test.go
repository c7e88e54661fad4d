package check

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/foreign"
	"berth/internal/lease"
	"berth/internal/state"
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

// foreignWith returns addresses of other programs.
func foreignWith(addresses ...string) (all []state.ForeignAddress) {
	for _, a := range addresses {
		all = append(all, state.ForeignAddress{Addr: netip.MustParseAddr(a), Holder: "eth0 of cam"})
	}
	return all
}

// poolsOf returns a network of another program that gives out a range.
func poolsOf(subnet, from, to string) []foreign.Network {
	return []foreign.Network{{Name: specs.EngineNetwork{Engine: specs.EngineDocker, Name: "home"}, Driver: specs.Macvlan, IPAM: specs.IPAMLocal,
		Subnets: []foreign.Subnet{{Subnet: netip.MustParsePrefix(subnet), From: netip.MustParseAddr(from), To: netip.MustParseAddr(to)}}}}
}

// TestForeignAddressesAreNotLeft counts an address of another program as not left, once.
func TestForeignAddressesAreNotLeft(t *testing.T) {
	n := goodNetwork()
	n.Foreign = foreignWith("192.0.2.10", "192.0.2.64", "192.0.2.70")
	const want = "192.0.2.64/26 has 64 addresses, 62 of them left"
	if got := mustFindLine(t, judgeNetwork(n), "IPv4"); got.Message != want {
		t.Errorf("line %q, want %q", got.Message, want)
	}
}

// TestPoolWithoutAnAddress excludes the whole range.
func TestPoolWithoutAnAddress(t *testing.T) {
	n := goodNetwork()
	n.Subnets[0].Exclude = []specs.Exclusion{{Prefix: netip.MustParsePrefix("192.0.2.0/24")}}
	got := mustFindLine(t, judgeNetwork(n), "IPv4")
	const want = "192.0.2.64/26 has no address to give out: all are reserved or excluded"
	if got.Result != Fail || !strings.Contains(got.Message, want) {
		t.Errorf("line %+v, want a failure with %q", got, want)
	}
}

// TestPoolsApart has no line for a pool of another program whose range is beside the network's, or
// which gives out no addresses.
func TestPoolsApart(t *testing.T) {
	below, above, v6, dhcp := goodNetwork(), goodNetwork(), goodNetwork(), goodNetwork()
	below.Pools = poolsOf("192.0.2.0/24", "192.0.2.2", "192.0.2.63")
	above.Pools = poolsOf("192.0.2.0/24", "192.0.2.128", "192.0.2.254")
	v6.Pools = poolsOf("2001:db8:1::/64", "2001:db8:1::", "2001:db8:1::ffff")
	dhcp.Pools = poolsOf("192.0.2.0/24", "192.0.2.1", "192.0.2.254")
	dhcp.Pools[0].IPAM = specs.IPAMDHCP
	for _, n := range []Network{below, above, v6, dhcp} {
		for _, l := range judgeNetwork(n) {
			if l.Check == "pools" {
				t.Errorf("%+v", l)
			}
		}
	}
}

// TestForeignAddressesThatAreNotGivenOut has no line.
func TestForeignAddressesThatAreNotGivenOut(t *testing.T) {
	outside, dhcp, excluded, host := goodNetwork(), goodNetwork(), goodNetwork(), goodNetwork()
	outside.Foreign = foreignWith("192.0.2.10", "198.51.100.70")
	dhcp.Foreign, dhcp.IPAM = foreignWith("192.0.2.70"), specs.IPAMDHCP
	excluded.Foreign = foreignWith("192.0.2.70")
	excluded.Subnets[0].Exclude = []specs.Exclusion{specs.ExcludeAddr(netip.MustParseAddr("192.0.2.70"))}
	host.Foreign = foreignWith("192.0.2.70") // an interface of the host's own
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
			n.Foreign = foreignWith("192.0.2.10", "2001:db8::7", "2001:db8::8", "2001:db8::9", "2001:db8::a", "2001:db8::b")
		}},
		{"another program's pool in the range", "pools", Warn, func(n *Network) { n.Pools = poolsOf("192.0.2.0/24", "192.0.2.100", "192.0.2.254") }},
		{"no range", "IPv4", Pass, func(n *Network) { n.Subnets[0].IPRange = netip.Prefix{} }},
		{"few addresses left", "IPv4", Warn, holdLeases(60)},
		{"no address left", "IPv4", Fail, holdLeases(64)},
	})
}

// TestJudgeEnforced names the kinds, whatever the driver: berth drops their frames on each.
func TestJudgeEnforced(t *testing.T) {
	enforced := []specs.Kind{specs.IPSpoof, specs.RogueRA}
	for _, c := range []struct {
		driver specs.Driver
		mode   specs.Mode
		kinds  []specs.Kind
		want   string
	}{
		{specs.Macvlan, specs.ModeBridge, enforced, "frames of ip-spoof, rogue-ra are dropped"},
		{specs.IPvlan, specs.ModeL2, enforced, "frames of ip-spoof, rogue-ra are dropped"},
		{specs.IPvlan, specs.ModeL3, nil, ""},
	} {
		n := goodNetwork()
		n.Driver, n.Mode, n.Enforce = c.driver, c.mode, c.kinds
		var got string
		for _, l := range judgeNetwork(n) {
			if l.Check == "enforces" && l.Result == Pass {
				got = l.Message
			}
		}
		if got != c.want {
			t.Errorf("%s %s with %v: %q, want %q", c.driver, c.mode, c.kinds, got, c.want)
		}
	}
}

func goodShared() Network {
	n := goodNetwork()
	n.IPAM, n.Domain, n.Subnets = specs.IPAMCluster, "lan-hq", n.Subnets[:1]
	n.Shared = Shared{Node: true, Size: 16, Free: 5, MAC: true}
	return n
}

func TestJudgeShared(t *testing.T) {
	const away = "etcd has not answered since 12:03:10"
	goldenVariations(t, "cluster", goodShared, judgeNetwork, []variation[Network]{
		{"no etcd", "cluster", Fail, func(n *Network) { n.Shared = Shared{} }},
		{"no block", "cluster", Fail, func(n *Network) { n.Shared = Shared{Node: true} }},
		{"no prefix of MACs", "cluster", Fail, func(n *Network) { n.Shared.MAC = false }},
		{"no block and no etcd", "cluster", Fail, func(n *Network) { n.Shared = Shared{Node: true, Trouble: away} }},
		{"etcd is away", "cluster", Warn, func(n *Network) { n.Shared.Trouble = away }},
		{"all are held", "cluster", Warn, func(n *Network) { n.Shared.Free = 0 }},
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
