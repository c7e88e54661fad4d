package hook

import (
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestDHCPLeaseOfAnotherContainer: a server leases the address of a local pool's container.
// The hook declines it.
func TestDHCPLeaseOfAnotherContainer(t *testing.T) {
	t.Parallel()
	h, server := dhcpHost(t, testnet.DHCPConfig{Kind: "dhcpd", Seconds: 600})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\nconflict_timeout = '0'\n")
	h.network("fixed", "parent = 'PARENT'\nconflict_timeout = '0'\n[[subnet]]\nsubnet = '192.0.2.0/24'\nip_range = '192.0.2.100/32'\n")
	other := h.box("other", "fixed")
	h.mustStart(other)
	b := h.box("a", "lan")
	h.mustStart(b)
	if got := h.firstOf("a").Addresses; len(got) != 1 || got[0] == h.firstOf("other").Addresses[0] {
		t.Errorf("addresses %v", got)
	}
	requireContains(t, server.Log(), "DHCPDECLINE")
	h.mustStop(b)
	h.mustStop(other)
}

// TestDHCPServerOfNonsense starts against a server whose offers no interface can have:
// the error names the reason.
func TestDHCPServerOfNonsense(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	testnet.Address(t, h.lan, "wire", "192.0.2.1/24")
	testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "wire", Seconds: 600, Options: "--dhcp-option-force=51,0.0.0.0"})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\ndhcp_timeout = '5s'\n")
	b := h.box("a", "lan")
	before := h.snapshot(b)
	err := h.start(b)
	if err == nil {
		t.Fatal("started with a lease of 0 s")
	}
	requireContains(t, err.Error(), "192.0.2.1", "refused", "lease time")
	h.unchanged(b, before)
}

// TestDHCPInEveryMode gets a lease in each mode of macvlan, and on a VLAN.
func TestDHCPInEveryMode(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{
		"bridge": "", "private": "mode = 'private'\n", "vepa": "mode = 'vepa'\n", "passthru": "mode = 'passthru'\n", "source": "mode = 'source'\n", "vlan": "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			link, parent := "wire", "PARENT"
			if name == "vlan" {
				testnet.Need(t, testnet.VLAN)
				testnet.Run(t, h.lan, "ip", "link", "add", "link", "wire", "name", "wire.7", "type", "vlan", "id", "7")
				testnet.Up(t, h.lan, "wire.7")
				link, parent = "wire.7", "PARENT.7"
			}
			if name == "source" {
				keys += "source_macs = ['" + testnet.Link(t, h.lan, "wire").Attrs().HardwareAddr.String() + "']\n"
			}
			testnet.Address(t, h.lan, link, "192.0.2.1/24")
			testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "dhcpd", Link: link, Seconds: 600})
			h.network("lan", "parent = '"+parent+"'\nipam = 'dhcp'\n"+keys)
			b := h.box("a", "lan")
			h.mustStart(b)
			if err := ping(t, b.ns, "192.0.2.1"); err != nil {
				t.Error(err)
			}
			h.mustStop(b)
		})
	}
}

// TestDHCPOnSeveralNetworks: a container on two LANs with DHCP, one of which has the
// default route, and on one with a pool.
func TestDHCPOnSeveralNetworks(t *testing.T) {
	t.Parallel()
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600,
		Options: "--dhcp-option=121,203.0.113.0/24,192.0.2.9,0.0.0.0/0,192.0.2.254 --dhcp-option=26,1400"})
	other := testnet.Unique("p")
	lan := testnet.Namespace(t)
	testnet.Veth(t, other, testnet.Here(t), "wire", lan)
	testnet.Address(t, lan, "wire", "198.51.100.1/24")
	testnet.ServeDHCP(t, lan, testnet.DHCPConfig{Kind: "dhcpd", Link: "wire", Network: "198.51.100", Seconds: 600})
	h.network("one", "parent = 'PARENT'\nipam = 'dhcp'\nmetric = 7\n")
	h.network("two", "parent = '"+other+"'\nipam = 'dhcp'\n")
	h.network("three", "parent = 'PARENT'\n[[subnet]]\nsubnet = '192.0.2.0/25'\ngateway = '192.0.2.3'\n")
	b := h.box("a", "one,two,three")
	h.mustStart(b)
	routes := ipIn(t, b.ns, "route")
	requireContains(t, routes, "default via 192.0.2.254 dev net1 proto static metric 7", "203.0.113.0/24 via 192.0.2.9 dev net1")
	requireLacks(t, routes, "default via 198.51.100.1", "default via 192.0.2.3", "default via 192.0.2.1 ")
	requireContains(t, ipIn(t, b.ns, "addr"), "inet 192.0.2.1", "inet 198.51.100.1", "mtu 1400")
	if r := h.firstOf("a"); len(r.DHCP) == 1 && (r.MTU != 1400 || len(r.Routes) != 1 || len(r.Gateways) != 1) {
		t.Errorf("record %+v", r)
	}
	h.mustStop(b)
}

// TestDHCPBesideTheEnginesDefaultRoute: a lease's default route is refused as a network's is.
func TestDHCPBesideTheEnginesDefaultRoute(t *testing.T) {
	t.Parallel()
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\n")
	h.network("quiet", "parent = 'PARENT'\nipam = 'dhcp'\ndefault_route = false\n")
	engine := func(b *box) {
		testnet.Veth(t, testnet.Unique("e"), testnet.Here(t), "eth0", b.ns)
		testnet.Address(t, b.ns, "eth0", "203.0.113.2/24")
		testnet.Run(t, b.ns, "ip", "route", "add", "default", "via", "203.0.113.1")
	}
	b := h.box("a", "lan")
	engine(b)
	if err := h.start(b); err == nil || !strings.Contains(err.Error(), "the default route via the DHCP server's router is refused") {
		t.Errorf("error %v", err)
	}
	b = h.box("b", "quiet")
	engine(b)
	h.mustStart(b)
	requireLacks(t, ipIn(t, b.ns, "route"), "default via 192.0.2.1")
	h.mustStop(b)
}

// TestDHCPServerOnTheHost reaches servers that frames on the wire do not: one on a sibling,
// and one on the host's own interface beside the containers, as the host shim is.
func TestDHCPServerOnTheHost(t *testing.T) {
	t.Parallel()
	for _, place := range []string{"sibling", "shim"} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			server, link := testnet.Here(t), testnet.Unique("shim")
			if place == "sibling" {
				server, link = testnet.Namespace(t), "eth0"
			}
			testnet.Run(t, testnet.Here(t), "ip", "link", "add", "link", h.parent, "name", link, "netns", server.Path(), "type", "macvlan", "mode", "bridge")
			testnet.Up(t, server, link)
			testnet.Address(t, server, link, "192.0.2.1/32") // no route: other tests use the subnet
			testnet.ServeDHCP(t, server, testnet.DHCPConfig{Kind: "dnsmasq", Link: link, Seconds: 600})
			h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\n")
			b := h.box("a", "lan")
			h.mustStart(b)
			requireContains(t, ipIn(t, b.ns, "-4 addr show net1"), "inet 192.0.2.1")
			h.mustStop(b)
		})
	}
}
