package hook

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
)

// dhcpHost returns a host whose LAN has a DHCP server.
func dhcpHost(t *testing.T, cfg testnet.DHCPConfig) (*host, *testnet.DHCPServer) {
	t.Helper()
	h := newHost(t)
	address := "192.0.2.1/24"
	if cfg.IPv6 {
		address = "2001:db8::1/64"
	}
	testnet.Address(t, h.lan, "wire", address)
	cfg.Link = "wire"
	return h, testnet.ServeDHCP(t, h.lan, cfg)
}

// inPool matches an address of the servers' pools.
var inPool = regexp.MustCompile(`inet 192\.0\.2\.1[012][0-9]/24 .*valid_lft [0-9]+sec preferred_lft [0-9]+sec`)

func TestDHCPLease(t *testing.T) {
	t.Parallel()
	for _, kind := range testnet.DHCPServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, server := dhcpHost(t, testnet.DHCPConfig{Kind: kind, Seconds: 600})
			h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\n")
			b := h.box("web", "lan")
			h.mustStart(b)
			if got := ipIn(t, b.ns, "addr show net1"); !inPool.MatchString(strings.ReplaceAll(got, "\n", " ")) {
				t.Errorf("no leased address in\n%s", got)
			}
			requireContains(t, ipIn(t, b.ns, "route"), "default via 192.0.2.1 dev net1")
			r := h.firstOf("web")
			l := r.DHCP[0].Lease
			if l == nil || len(r.Addresses) != 1 || l.Address != r.Addresses[0] || l.Hostname != "web" || l.Lifetime != 600 {
				t.Fatalf("record %+v, lease %+v", r, l)
			}
			requireContains(t, h.records(), "lease "+l.Address.Addr().String()+" of web") // no pool gives it out
			if err := ping(t, b.ns, "192.0.2.1"); err != nil {
				t.Error(err)
			}
			first := l.Address
			h.mustStop(b)
			released := map[string]string{"dnsmasq": "DHCPRELEASE", "kea": "DHCP4_RELEASE", "dhcpd": "DHCPRELEASE"}[kind]
			testnet.Eventually(t, "the server knows of the release", func() bool { return strings.Contains(server.Log(), released) })
			b = h.box("web", "lan") // again: the same MAC, so the same address
			h.mustStart(b)
			if again := h.firstOf("web").Addresses; len(again) != 1 || again[0] != first {
				t.Errorf("after a restart %v, before %s", again, first)
			}
			h.mustStop(b)
		})
	}
}

func TestDHCPWithoutAServer(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\ndhcp_timeout = '1500ms'\n")
	b := h.box("a", "lan")
	before := h.snapshot(b)
	began := time.Now()
	err := h.start(b)
	if err == nil {
		t.Fatal("started without an address")
	}
	requireContains(t, err.Error(), "berth/networks", `interface "net1"`, h.parent, "no address from a DHCP server within 1.", " DISCOVER", "no server answered", "with a free address", "berth check lan")
	if took := time.Since(began); took < 1500*time.Millisecond {
		t.Errorf("gave up after %s", took)
	}
	h.unchanged(b, before)
}

// TestDHCPKilledAtEachStep kills the hook after each step: nothing is left, and the
// next attempt works.
func TestDHCPKilledAtEachStep(t *testing.T) {
	t.Parallel()
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\n")
	for _, step := range []string{"set them up", "get DHCP leases", "add addresses", "add routes"} {
		b := h.box("k", "lan")
		before := h.snapshot(b)
		h.killAfterStep(b, step)
		if got := len(h.attachments("k")); got != 1 {
			t.Fatalf("killed after %q: %d records", step, got)
		}
		h.mustStart(b)
		if r := h.firstOf("k"); r.DHCP[0].Lease == nil {
			t.Errorf("after %q: record %+v", step, r)
		}
		h.mustStop(b)
		h.unchanged(b, before)
	}
}

// TestDHCPFamiliesCombine: static addresses of one family beside a lease of the other.
func TestDHCPFamiliesCombine(t *testing.T) {
	t.Parallel()
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
	testnet.Address(t, h.lan, "wire", "2001:db8::1/64")
	h.network("lan", `parent = "PARENT"
ipam = "dhcp"
[[subnet]]
subnet = "2001:db8::/64"
gateway = "2001:db8::1"
`)
	b := h.box("a", "lan")
	h.mustStart(b)
	requireContains(t, ipIn(t, b.ns, "-o addr show net1"), "inet 192.0.2.1", "inet6 2001:db8::2/64")
	requireContains(t, ipIn(t, b.ns, "-6 route"), "default via 2001:db8::1")
	h.mustStop(b)
}

// TestDHCPMTUWithIPv6: an MTU of a server at which the interface would lose IPv6 is not set.
func TestDHCPMTUWithIPv6(t *testing.T) {
	t.Parallel()
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600, Options: "--dhcp-option=26,1000"})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\ndhcp_timeout = '15s'\n[[subnet]]\nsubnet = '2001:db8::/64'\n")
	b := h.box("a", "lan")
	h.mustStart(b)
	requireContains(t, ipIn(t, b.ns, "-o addr show net1"), "inet 192.0.2.1", "inet6 2001:db8::")
	requireContains(t, ipIn(t, b.ns, "link show net1"), "mtu 1500")
	h.mustStop(b)
}

// TestDHCPOnIPvlan: siblings share their MAC and get different leases, which they keep.
func TestDHCPOnIPvlan(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
	h.network("lan", "driver = 'ipvlan'\nparent = 'PARENT'\nipam = 'dhcp'\n")
	had := map[string]string{}
	for range 2 {
		var all []*box
		for _, id := range []string{"a", "b", "c"} {
			b := h.box(id, "lan")
			h.mustStart(b)
			all = append(all, b)
			address := h.firstOf(id).Addresses[0].String()
			if before, ok := had[id]; ok && before != address {
				t.Errorf("%s had %s, has %s", id, before, address)
			}
			had[id] = address
		}
		if had["a"] == had["b"] || had["b"] == had["c"] || had["a"] == had["c"] {
			t.Errorf("one address twice: %v", had)
		}
		for _, b := range all {
			h.mustStop(b)
		}
	}
}

// TestDHCPConflict: an address that another host has is declined, and the next one is
// taken.
func TestDHCPConflict(t *testing.T) {
	t.Parallel()
	h, server := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\ndhcp_release = false\n")
	b := h.box("a", "lan")
	h.mustStart(b)
	taken := h.firstOf("a").Addresses[0]
	h.mustStop(b)
	h.squat(taken.String())
	b = h.box("a", "lan")
	h.mustStart(b)
	if got := h.firstOf("a").Addresses; len(got) != 1 || got[0] == taken {
		t.Errorf("addresses %v, although another host has %s", got, taken)
	}
	requireContains(t, server.Log(), "DHCPDECLINE")
	counts := h.dhcpMessages()
	if counts["discover"] == 0 || counts["offer"] == 0 || counts["request"] == 0 || counts["ack"] == 0 || counts["decline"] != 1 {
		t.Errorf("messages %v", counts)
	}
	h.mustStop(b)
}

// squat makes another host on the LAN that has an address.
func (h *host) squat(address string) {
	h.Helper()
	squatter := testnet.Namespace(h.T)
	testnet.Run(h.T, testnet.Here(h.T), "ip", "link", "add", "link", h.parent, "name", "eth0", "netns", squatter.Path(),
		"type", "macvlan", "mode", "bridge")
	testnet.Up(h.T, squatter, "eth0")
	testnet.Address(h.T, squatter, "eth0", address)
}

// TestDHCPRemembered: a lease that was not given back is asked for again without a
// DISCOVER.
func TestDHCPRemembered(t *testing.T) {
	t.Parallel()
	h, server := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600})
	h.network("lan", "parent = 'PARENT'\nipam = 'dhcp'\ndhcp_release = false\n")
	for range 3 {
		b := h.box("a", "lan")
		h.mustStart(b)
		h.mustStop(b)
	}
	if n := strings.Count(server.Log(), "DHCPDISCOVER("); n != 1 {
		t.Errorf("%d DISCOVERs in\n%s", n, server.Log())
	}
	requireLacks(t, server.Log(), "DHCPRELEASE")
}
