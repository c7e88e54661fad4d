package hook

import (
	"slices"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestDHCPv6RouterFlags: the router's flags M and O decide whether an address, or the DNS servers
// alone, are requested of the DHCPv6 server. Addresses of its prefix come beside both.
func TestDHCPv6RouterFlags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		served      string
		leased, dns bool
	}{
		"M":       {"2001:db8::100,2001:db8::1ff,slaac", true, true},
		"O":       {"2001:db8::,ra-stateless", false, true},
		"neither": {"2001:db8::,ra-only", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			testnet.Address(t, h.lan, "wire", "192.0.2.1/24")
			testnet.Address(t, h.lan, "wire", "2001:db8::1/64")
			testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "wire", Seconds: 600,
				Options: "--enable-ra --dhcp-option=option6:dns-server,[2001:db8::53] --dhcp-range=" + c.served + ",64"})
			h.network("lan", "dhcp_timeout = '15s'\n"+dhcpv6Network)
			b := h.box("a", "lan")
			h.mustStart(b)
			d := h.firstOf("a").DHCP[0]
			var dns string
			switch {
			case d.Lease != nil && len(d.Lease.DNS) == 1:
				dns = d.Lease.DNS[0].String()
			case d.Options != nil && len(d.Options.DNS) == 1:
				dns = d.Options.DNS[0].String()
			}
			if (d.Lease != nil) != c.leased || d.Unmanaged == c.leased || (dns == "2001:db8::53") != c.dns {
				t.Errorf("client %+v", d)
			}
			testnet.Eventually(t, "there is an address of the router's prefix", func() bool {
				addresses := strings.Fields(ipIn(t, b.ns, "-6 -o addr show net1"))
				return slices.ContainsFunc(addresses, func(a string) bool {
					return strings.HasPrefix(a, "2001:db8::") && strings.HasSuffix(a, "/64")
				})
			})
			h.mustStop(b)
		})
	}
}
