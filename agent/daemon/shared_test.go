package daemon

import (
	"fmt"
	"net/netip"
	"testing"

	"berth/network"
	"berth/specs"
)

func addressOn(index int, prefix string) network.AddressInfo {
	return network.AddressInfo{Index: index, Prefix: netip.MustParsePrefix(prefix), Permanent: true}
}

func linkAbove(index int, kind, name string) network.LinkInfo {
	return network.LinkInfo{Index: index, Kind: kind, Name: name, ParentIndex: 2, ParentNSID: -1, Up: true}
}

func TestParentSharers(t *testing.T) {
	quiet := []network.LinkInfo{{Index: 2, Name: "eth1", ParentNSID: -1}, {Index: 3, Name: "eth2", ParentNSID: -1}}
	for _, c := range []struct {
		name  string
		facts hostFacts
		want  string
	}{
		{"nobody", hostFacts{quiet, []network.AddressInfo{addressOn(2, "fe80::1/64"), addressOn(3, "192.0.2.1/24")}}, "[]"},
		{"the host, by an address", hostFacts{quiet, []network.AddressInfo{addressOn(2, "192.0.2.1/24")}}, "[the host has 192.0.2.1/24 on the parent]"},
		{"the kernel, by an address from a router", hostFacts{quiet, []network.AddressInfo{{Index: 2, Prefix: netip.MustParsePrefix("2001:db8::1/64")}}}, "[]"},
		{"the host, by DHCP", hostFacts{quiet, []network.AddressInfo{{Index: 2, Prefix: netip.MustParsePrefix("192.0.2.1/24")}}}, "[the host has 192.0.2.1/24 on the parent]"},
		{"a VLAN", hostFacts{append(quiet[:2:2], linkAbove(7, "vlan", "eth1.5")), nil}, "[vlan eth1.5 is on the parent]"},
		{"a VLAN of another", hostFacts{append(quiet[:2:2], network.LinkInfo{Index: 7, Kind: "vlan", ParentIndex: 3, ParentNSID: -1}), nil}, "[]"},
		{"an interface in a container, of an index like the parent's", hostFacts{append(quiet[:2:2], network.LinkInfo{Index: 7, Kind: "macvlan", ParentIndex: 2, ParentNSID: 4}), nil}, "[]"},
		{"the end of a veth pair", hostFacts{append(quiet[:2:2], linkAbove(9, "veth", "wire")), nil}, "[]"},
		{"a bridge", hostFacts{[]network.LinkInfo{{Index: 2, Name: "eth1", Upper: 8, ParentNSID: -1}, {Index: 8, Name: "br0", ParentNSID: -1}}, nil}, "[the parent belongs to br0]"},
	} {
		var got []string
		for _, f := range c.facts.parentSharers(2) {
			if f.kind != specs.PassthruShared {
				t.Errorf("%s: kind %s", c.name, f.kind)
			}
			got = append(got, f.detail)
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%s: %q, want %s", c.name, got, c.want)
		}
	}
}

func TestIsolatedAddresses(t *testing.T) {
	f := hostFacts{
		links: []network.LinkInfo{{Index: 2, Name: "eth1", ParentNSID: -1}},
		addresses: []network.AddressInfo{addressOn(2, "fe80::1/64"), addressOn(2, "192.0.2.9/24"), addressOn(2, "192.0.2.1/24"),
			addressOn(2, "192.0.2.1/32"), addressOn(3, "198.51.100.1/24")},
	}
	if got := fmt.Sprint(f.isolatedAddresses(2)); got != "[192.0.2.1 192.0.2.9 fe80::1]" {
		t.Errorf("isolated %s", got)
	}
	shim := linkAbove(7, "macvlan", "berth-lan")
	shim.Driver, shim.Mode = specs.Macvlan, specs.ModeBridge
	f.links = append(f.links, shim)
	if got := fmt.Sprint(f.isolatedAddresses(2)); got != "[fe80::1]" {
		t.Errorf("isolated %s where the host has an interface beside the containers", got)
	}
}
