package hook

import (
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestIPv6Token requires that a container has the network's interface identifier under an
// advertised prefix, beside a lease of DHCPv6 and on ipvlan too, and that a second container is
// refused until the first has ended.
func TestIPv6Token(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string]string{
		"slaac":  "ipv6 = 'slaac'\n",
		"dhcp":   "ipv6 = 'dhcp'\n",
		"ipvlan": "ipv6 = 'slaac'\ndriver = 'ipvlan'\nmode = 'l2'\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "ipvlan" {
				testnet.Need(t, testnet.IPvlan)
			}
			testIPv6Token(t, keys, name == "dhcp")
		})
	}
}

func testIPv6Token(t *testing.T, keys string, leased bool) {
	h := newHost(t)
	testnet.Address(t, h.lan, "wire", "192.0.2.1/24")
	testnet.Address(t, h.lan, "wire", "2001:db8::1/64")
	advertised := "ra-only"
	if leased {
		advertised = "2001:db8::1ff,slaac"
	}
	testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "wire", Seconds: 600,
		Options: "--enable-ra --dhcp-range=2001:db8::," + advertised + ",64"})
	h.network("lan", "parent = 'PARENT'\nipv6_token = '::53'\n"+keys)
	a, b := h.box("a", "lan"), h.box("b", "lan")
	h.mustStart(a)
	testnet.Eventually(t, "the container has the address of its token", func() bool {
		return strings.Contains(ipIn(t, a.ns, "-6 -o addr show net1"), "inet6 2001:db8::53/64")
	})
	r := h.firstOf("a")
	if r.IPv6Token.String() != "::53" || (len(r.Addresses) == 1) != leased {
		t.Errorf("record %+v", r)
	}
	before := h.snapshot(b)
	err := h.start(b)
	if err == nil {
		t.Fatal("a second container has the same token")
	}
	requireContains(t, err.Error(), `ipv6_token: address ::53 is in use by container a (network "lan", interface net1)`)
	h.unchanged(b, before)
	h.mustStop(a)
	h.mustStart(b)
	h.mustStop(b)
}
