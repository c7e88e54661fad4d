package check

import (
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
	release, err := store.Hold(t.Context(), state.KeeperKey)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if got := mustFindLine(t, h.c.Preflight(h.Context(), ""), "leases"); got.Result != Pass {
		t.Errorf("with a keeper: %+v", got)
	}
}
