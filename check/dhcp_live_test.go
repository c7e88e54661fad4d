package check

import (
	"testing"

	"berth/internal/testnet"
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
	for _, c := range []struct {
		leases, kept bool
		want         []Result
	}{{false, false, nil}, {true, true, []Result{Pass}}, {true, false, []Result{Fail}}} {
		r := &report{}
		judgeKeeper(r, c.leases, c.kept)
		if len(r.lines) != len(c.want) || len(c.want) > 0 && r.lines[0].Result != c.want[0] {
			t.Errorf("leases %t, kept %t: %+v", c.leases, c.kept, r.lines)
		}
	}
}
