package hook

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"berth/internal/state"
	"berth/internal/testnet"
)

// taken6 match the log of a DHCPv6 server that took a lease back. To a Release of no lease of its
// own, dnsmasq also answers "no binding found", and dhcpd logs "which is not leased to it".
var taken6 = map[string]*regexp.Regexp{
	"dnsmasq": regexp.MustCompile(`DHCPRELEASE\(.*\n(.* (tags:|client-id|server-id) .*\n)*.* release received`),
	"kea":     regexp.MustCompile(`was released properly`),
	"dhcpd":   regexp.MustCompile(`releases address [0-9a-f:]+\n`),
}

const dhcpv6Network = "parent = 'PARENT'\nipv6 = 'dhcp'\n[[subnet]]\nsubnet = '198.51.100.0/24'\n"

// TestDHCPv6 takes an address of each server that has DHCPv6, and gives it back.
func TestDHCPv6(t *testing.T) {
	t.Parallel()
	for _, kind := range testnet.DHCPServers {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, server := dhcpHost(t, testnet.DHCPConfig{Kind: kind, Seconds: 600, IPv6: true})
			h.network("lan", dhcpv6Network)
			b := h.box("a", "lan")
			h.mustStart(b)
			requireContains(t, ipIn(t, b.ns, "-6 -o addr show net1"), "inet6 2001:db8::1", "/128", "valid_lft")
			requireContains(t, ipIn(t, b.ns, "-4 -o addr show net1"), "198.51.100.1/24")
			h.mustStop(b)
			requireTakenBack(t, server, kind)
		})
	}
}

// TestDHCPv6AtOnce: the server's first Advertise reaches the interface although the kernel still
// probes for its link-local address, which takes a second. Else each start takes longer than that.
func TestDHCPv6AtOnce(t *testing.T) {
	t.Parallel()
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600, IPv6: true})
	h.network("lan", "conflict_timeout = '0'\n"+dhcpv6Network)
	starts := 0
	testnet.Eventually(t, "a start takes less than a second", func() bool {
		starts++
		b := h.box(fmt.Sprint("c", starts), "lan") // with another MAC, which the server does not know
		began := time.Now()
		h.mustStart(b)
		took := time.Since(began)
		h.mustStop(b)
		return took < 950*time.Millisecond
	})
}

// TestDHCPv6OnIPvlan: siblings share their MAC, and the server replies to their own link-local
// addresses.
func TestDHCPv6OnIPvlan(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	h, _ := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600, IPv6: true})
	h.network("lan", "driver = 'ipvlan'\n"+dhcpv6Network)
	a, b := h.box("a", "lan"), h.box("b", "lan")
	h.mustStart(a)
	h.mustStart(b)
	one, other := h.firstOf("a").DHCP[0].Lease, h.firstOf("b").DHCP[0].Lease
	if one == nil || other == nil || one.Address == other.Address {
		t.Errorf("leases %+v and %+v", one, other)
	}
	h.mustStop(a)
	h.mustStop(b)
}

// requireTakenBack fails unless a server frees a lease.
func requireTakenBack(t *testing.T, server *testnet.DHCPServer, kind string) {
	t.Helper()
	testnet.Eventually(t, "the server takes the lease back", func() bool { return taken6[kind].MatchString(server.Log()) })
}

// TestDHCPv6ReleaseOfAnEndedNamespace: the namespace of a container of plain runc ends with its
// process. The lease is given back from the parent.
func TestDHCPv6ReleaseOfAnEndedNamespace(t *testing.T) {
	t.Parallel()
	h, server := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600, IPv6: true})
	h.network("lan", dhcpv6Network)
	b := h.box("a", "lan")
	h.mustStart(b)
	b.endProcess(t)
	h.mustStop(b)
	requireTakenBack(t, server, "dnsmasq")
}

// TestDHCPv6ReleaseWithoutAnAnswer: the message is repeated once, and the container's end goes on.
func TestDHCPv6ReleaseWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	h, server := dhcpHost(t, testnet.DHCPConfig{Kind: "dnsmasq", Seconds: 600, IPv6: true})
	h.network("lan", dhcpv6Network)
	b := h.box("a", "lan")
	before := h.snapshot(b)
	h.mustStart(b)
	server.Stop()
	h.mustStop(b)
	if n := h.dhcpMessages()["release"]; n != 2 {
		t.Errorf("%d Releases", n)
	}
	h.unchanged(b, before)
}

// TestDHCPv6Conflict: an address that another host has is declined, the server takes it out of
// its pool, and the next one is used.
func TestDHCPv6Conflict(t *testing.T) {
	t.Parallel()
	for kind, declined := range map[string]string{"dnsmasq": "DHCPDECLINE(", "kea": "DHCP6_DECLINE_LEASE "} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h, server := dhcpHost(t, testnet.DHCPConfig{Kind: kind, Seconds: 600, IPv6: true})
			h.network("lan", "dhcp_release = false\ndhcp_timeout = '15s'\n"+dhcpv6Network)
			b := h.box("a", "lan")
			h.mustStart(b)
			taken := h.firstOf("a").DHCP[0].Lease.Address
			h.mustStop(b)
			h.squat(taken.String())
			b = h.box("a", "lan")
			h.mustStart(b)
			if got := h.firstOf("a").DHCP[0].Lease.Address; got == taken {
				t.Errorf("address %s, although another host has it", got)
			}
			requireContains(t, server.Log(), declined)
			if n := h.dhcpMessages()["decline"]; n < 1 || n > 2 {
				t.Errorf("%d Declines", n)
			}
			h.mustStop(b)
		})
	}
}

// dhcpMessages returns the recorded numbers of messages.
func (h *host) dhcpMessages() (counts map[string]uint64) {
	h.Helper()
	if err := h.store.View(h.Context(), func(tx *state.Tx) error { counts = tx.DHCPMessages(); return nil }); err != nil {
		h.Fatal(err)
	}
	return counts
}
