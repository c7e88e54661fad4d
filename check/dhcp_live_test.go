package check

import (
	"strings"
	"testing"

	"berth/internal/state"
	"berth/internal/testnet"
	"berth/specs"
)

// TestDHCPServersAreAsked checks a network without a DHCP server, with one, and with two.
func TestDHCPServersAreAsked(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", "parent = \"eth1\"\nipam = \"dhcp\"\n")
	wantLine(t, "no server", h.preflightLines("lan"), "DHCP", Warn, "no server answers eth1")
	testnet.Address(t, h.lan, "port", "192.0.2.1/24")
	server := testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "port", Seconds: 600})
	wantLine(t, "one server", h.preflightLines("lan"), "DHCP", Pass, "192.0.2.1 (")
	server.Stop()
	testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "port", Seconds: 600, Options: "--dhcp-option-force=51,0.0.0.0"})
	wantLine(t, "nonsense", h.preflightLines("lan"), "DHCP", Warn, "refuses: it comes without a lease time")
	for _, l := range h.preflightLines("") { // nothing is asked if all networks are checked
		if l.Check == "DHCP" {
			t.Errorf("%+v", l)
		}
	}
}

// TestDHCPv6ServersAreAsked checks a network without a DHCPv6 server, and with one.
// The parent's link-local address is not that of its MAC.
func TestDHCPv6ServersAreAsked(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	testnet.Run(t, h.ns, "ip", "addr", "flush", "dev", "eth1", "scope", "link")
	h.writeNetwork("lan", "parent = \"eth1\"\nipv6 = \"dhcp\"\n")
	wantLine(t, "no address", h.preflightLines("lan"), "DHCPv6", Warn, "not asked: eth1 has no link-local IPv6 address")
	testnet.Run(t, h.ns, "ip", "addr", "add", "fe80::77/64", "dev", "eth1", "nodad")
	wantLine(t, "no server", h.preflightLines("lan"), "DHCPv6", Warn, "no server answers eth1")
	testnet.Address(t, h.lan, "port", "2001:db8::1/64")
	server := testnet.ServeDHCP(t, h.lan, testnet.DHCPConfig{Kind: "kea", Link: "port", Seconds: 600, IPv6: true})
	var line Line
	testnet.Eventually(t, "the server answers in time", func() bool { // a slow machine may need a second check
		line = mustFindLine(t, h.preflightLines("lan"), "DHCPv6")
		return line.Result == Pass
	})
	if !strings.Contains(line.Message, "offers 2001:db8::1") {
		t.Errorf("one server: %+v", line)
	}
	server.Stop()
	for _, l := range h.preflightLines("") { // nothing is asked if all networks are checked
		if l.Check == "DHCPv6" {
			t.Errorf("%+v", l)
		}
	}
}

func TestLeasesWithoutAKeeper(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	store := state.Open(h.c.Dirs.State)
	at := &state.Attachment{Cookie: 7, Interface: "net1", Phase: specs.PhaseAttached, DHCP: []state.DHCPClient{{}}}
	if err := store.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(at) }); err != nil {
		t.Fatal(err)
	}
	if got := mustFindLine(t, h.c.Preflight(h.Context(), ""), "leases"); got.Result != Fail {
		t.Errorf("without a keeper: %+v", got)
	}
	unlock, err := store.Hold(t.Context(), state.KeeperKey)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if got := mustFindLine(t, h.c.Preflight(h.Context(), ""), "leases"); got.Result != Pass {
		t.Errorf("with a keeper: %+v", got)
	}
}
