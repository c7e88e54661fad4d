package hostshim

import (
	"crypto/sha256"
	"encoding/base32"
	"net/netip"
	"strings"
	"testing"

	"berth/network"
	"berth/specs"
)

// lanNetwork returns a network that the host can join.
func lanNetwork(change func(*specs.Network)) *specs.Network {
	n := &specs.Network{Name: "lan", Parent: "eth1", Subnets: []specs.Subnet{
		{Subnet: netip.MustParsePrefix("192.0.2.0/24"), Gateway: netip.MustParseAddr("192.0.2.1")},
		{Subnet: netip.MustParsePrefix("2001:db8::/64")},
	}}
	change(n)
	n.SetDefaults()
	return n
}

func hostFacts() *hostState {
	return &hostState{
		on:        &network.Parent{Name: "eth1", Index: 7, MTU: 1500, Up: true},
		addresses: []netip.Addr{netip.MustParseAddr("192.0.2.9")},
	}
}

func TestPlan(t *testing.T) {
	p, err := makePlan(lanNetwork(func(*specs.Network) {}), []netip.Addr{netip.MustParseAddr("192.0.2.250")}, hostFacts())
	if err != nil {
		t.Fatal(err)
	}
	if len(p.static) != 1 || p.static[0].String() != "192.0.2.250/24" || len(p.pools) != 1 || p.pools[0].Prefix().String() != "2001:db8::/64" {
		t.Errorf("static %v, pools %v: want one address in each subnet", p.static, p.pools)
	}
	if p.mtu != 1500 || p.reflect {
		t.Errorf("plan %+v", p)
	}
	if p, err = makePlan(lanNetwork(func(n *specs.Network) { n.Mode = specs.ModeVEPA }), nil, hostFacts()); err != nil || !p.reflect {
		t.Errorf("vepa: %+v, %v", p, err)
	}
}

func TestPlanRefuses(t *testing.T) {
	mode := func(d specs.Driver, m specs.Mode, f specs.IPvlanFlag) func(*specs.Network) {
		return func(n *specs.Network) { n.Driver, n.Mode, n.IPvlanFlag = d, m, f }
	}
	same := func(*specs.Network) {}
	for name, c := range map[string]struct {
		change func(*specs.Network)
		ips    string
		facts  func(*hostState)
		want   string
	}{
		"private":        {mode(specs.Macvlan, specs.ModePrivate, ""), "", nil, `mode "private" keeps the host from its containers: a private interface reaches no other`},
		"passthru":       {mode(specs.Macvlan, specs.ModePassthru, ""), "", nil, `mode "passthru" keeps the host from its containers`},
		"source":         {mode(specs.Macvlan, specs.ModeSource, ""), "", nil, `mode "source" keeps the host from its containers`},
		"ipvlan private": {mode(specs.IPvlan, specs.ModeL2, specs.FlagPrivate), "", nil, `ipvlan_flag "private" keeps the host from its containers`},
		"ipvlan vepa":    {mode(specs.IPvlan, specs.ModeL2, specs.FlagVEPA), "", nil, `ipvlan_flag "vepa" keeps the host from its containers`},
		"parent down":    {same, "", func(f *hostState) { f.on.Up = false }, `parent "eth1" is down; set it up: ip link set eth1 up`},
		"mtu":            {func(n *specs.Network) { n.MTU = 9000 }, "", nil, `mtu "9000": the parent "eth1" has an MTU of only 1500 bytes`},
		"no subnet":      {func(n *specs.Network) { n.Subnets = nil }, "", nil, `network "lan" has no subnet`},
		"static":         {func(n *specs.Network) { n.IPAM = specs.IPAMStatic }, "", nil, `network "lan" has ipam = "static", so berth chooses no address for the host; give one by --ip`},
		"outside":        {same, "198.51.100.1", nil, `--ip "198.51.100.1": no subnet of network "lan" contains it`},
		"two":            {same, "192.0.2.3 192.0.2.4", nil, `--ip "192.0.2.4": there is another --ip in the subnet 192.0.2.0/24`},
		"gateway":        {same, "192.0.2.1", nil, `--ip "192.0.2.1": in the subnet 192.0.2.0/24 it is the gateway`},
		"host's own":     {same, "192.0.2.9", nil, `--ip "192.0.2.9": in the subnet 192.0.2.0/24 it is in use by this host`},
		"passthru there": {same, "", func(f *hostState) {
			f.occupants = []network.Occupant{{Name: "mv0", Driver: specs.Macvlan, Mode: specs.ModePassthru}}
		}, `parent "eth1": interface "mv0" of the host (macvlan, mode passthru) is on it, and passthru takes a parent whole`},
		"ipvlan there": {same, "", func(f *hostState) {
			f.occupants = []network.Occupant{{Name: "iv0", Driver: specs.IPvlan, Mode: specs.ModeL2}}
		}, `parent "eth1": interface "iv0" of the host (ipvlan, mode l2) is on it, and a parent carries macvlan or ipvlan, not both`},
	} {
		f := hostFacts()
		if c.facts != nil {
			c.facts(f)
		}
		var ips []netip.Addr
		for _, s := range strings.Fields(c.ips) {
			ips = append(ips, netip.MustParseAddr(s))
		}
		if _, err := makePlan(lanNetwork(c.change), ips, f); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v\nwant %s", name, err, c.want)
		}
	}
}

func TestInterfaceName(t *testing.T) {
	taken := func(names ...string) func(string) bool {
		return func(name string) bool { return strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") }
	}
	hashed := candidateName("lan", 1)
	for _, c := range []struct {
		network string
		taken   func(string) bool
		want    string
	}{
		{"lan", taken(), "berth-lan"},
		{"nine-byte", taken(), "berth-nine-byte"},
		{"lan", taken("berth-lan"), hashed},
		{"lan", taken("berth-lan", hashed), candidateName("lan", 2)},
		{"ten-bytes-", taken(), candidateName("ten-bytes-", 1)},
	} {
		got, err := interfaceName(c.network, c.taken)
		if err != nil || got != c.want || specs.CheckInterfaceName(got) != nil {
			t.Errorf("%s: %q, %v, want %q", c.network, got, err, c.want)
		}
	}
	if candidateName("ten-bytes-", 1) == candidateName("ten-bytes-2", 1) {
		t.Error("two networks have one name")
	}
	_, err := interfaceName("lan", func(string) bool { return true })
	if err == nil || !strings.Contains(err.Error(), "are in use") {
		t.Errorf("no name free: %v", err)
	}
}

func TestBeginBase32(t *testing.T) {
	for n := range 64 {
		sum := sha256.Sum256([]byte{byte(n)})
		want := strings.ToLower(base32.HexEncoding.EncodeToString(sum[:]))
		for size := range specs.MaxInterfaceName {
			if got := beginBase32(sum[:], size); got != want[:size] {
				t.Errorf("%q, want %q", got, want[:size])
			}
		}
	}
}
