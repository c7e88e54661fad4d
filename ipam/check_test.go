package ipam_test

import (
	"strings"
	"testing"

	"berth/ipam"
	"berth/specs"
)

// TestPoolsWithoutAnAddress lists subnets that give out none, and those that give out one.
func TestPoolsWithoutAnAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"192.0.2.0/24 exclude=192.0.2.0/24":                                            `subnet[0].subnet "192.0.2.0/24"`,
		"192.0.2.0/24 exclude=192.0.2.0/25 exclude=192.0.2.128/25":                     `subnet[0].subnet "192.0.2.0/24"`,
		"192.0.2.0/24 range=192.0.2.64/26 exclude=192.0.2.64/26":                       `subnet[0].ip_range "192.0.2.64/26"`,
		"192.0.2.0/24 range=192.0.2.64/26 exclude=192.0.2.0/24":                        `subnet[0].ip_range "192.0.2.64/26"`,
		"192.0.2.0/24 range=192.0.2.1/32 gateway=192.0.2.1":                            `subnet[0].ip_range "192.0.2.1/32"`,
		"192.0.2.0/24 range=192.0.2.0/31 gateway=192.0.2.1":                            `subnet[0].ip_range "192.0.2.0/31"`,
		"192.0.2.0/24 range=192.0.2.255/32":                                            `subnet[0].ip_range "192.0.2.255/32"`,
		"192.0.2.0/30 gateway=192.0.2.1 exclude=192.0.2.2":                             `subnet[0].subnet "192.0.2.0/30"`,
		"192.0.2.1/32 gateway=192.0.2.1":                                               `subnet[0].subnet "192.0.2.1/32"`,
		"192.0.2.0/31 gateway=192.0.2.0 exclude=192.0.2.1":                             `subnet[0].subnet "192.0.2.0/31"`,
		"2001:db8::/64 exclude=2001:db8::/64":                                          `subnet[0].subnet "2001:db8::/64"`,
		"2001:db8::/64 range=2001:db8::/127 gateway=2001:db8::1":                       `subnet[0].ip_range "2001:db8::/127"`,
		"2001:db8::/64 exclude=2001:db8::/65 exclude=2001:db8:0:0:8000::/65":           `subnet[0].subnet "2001:db8::/64"`,
		"2001:db8::/32 exclude=2001:db8::/33":                                          "",
		"192.0.2.0/24 range=192.0.2.64/26 exclude=192.0.2.64/27":                       "",
		"192.0.2.0/24 range=192.0.2.2/32 gateway=192.0.2.1":                            "",
		"192.0.2.0/30 gateway=192.0.2.1":                                               "",
		"192.0.2.0/31 gateway=192.0.2.0":                                               "",
		"192.0.2.1/32":                                                                 "",
		"192.0.2.0/24 gateway=192.0.2.1 exclude=192.0.2.128/25 exclude=192.0.2.128/26": "",
		"2001:db8::/64 range=2001:db8::/126 gateway=2001:db8::1":                       "",
	} {
		n := &specs.Network{Name: "lan", Parent: "eth1", Subnets: []specs.Subnet{parseSubnet(t, text)}}
		n.SetDefaults()
		if err := n.Check(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		err := ipam.CheckPools(n)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "no address for a container")) {
			t.Errorf("%s: error %v, want %q", text, err, want)
		}
		n.IPAM = specs.IPAMStatic
		if err := ipam.CheckPools(n); err != nil {
			t.Errorf("%s with requested addresses: %v", text, err)
		}
	}
}
