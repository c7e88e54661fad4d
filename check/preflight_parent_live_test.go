package check

import (
	"strings"
	"testing"

	"berth/internal/testnet"
)

func TestPreflightNoCarrier(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", lan)
	testnet.Run(t, h.lan, "ip", "link", "set", "port", "down")
	testnet.Eventually(t, "eth1 has no carrier", func() bool { return mustFindLine(t, h.preflightLines("lan"), "carrier").Result == Fail })
	wantLine(t, "no carrier", h.preflightLines("lan"), "carrier", Fail, "eth1 has no link")
}

func TestPreflightBridge(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	testnet.Bridge(t, h.ns, "br0", "eth1")
	wantLine(t, "a port", h.preflightLines("eth1"), "member of", Fail, "bridge br0")
	testnet.Eventually(t, "the bridge has carrier", func() bool { return mustFindLine(t, h.preflightLines("br0"), "carrier").Result == Pass })
	wantLine(t, "the bridge", h.preflightLines("br0"), "member of", Pass, "no bridge")
}

func TestPreflightPassthru(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", lan)
	h.writeNetwork("all", "parent = \"eth1\"\nmode = \"passthru\"\n")
	wantLine(t, "configured on one parent", h.preflightLines("lan"), "shares", Warn, "network all")
	h.runIP("link add taken link eth1 type macvlan mode passthru")
	lines := dropCheck(h.preflightLines("lan"), "shares")
	wantLine(t, "taken", lines, "beside", Fail, "taken of this host")
	h.runIP("link del taken")
	h.runIP("link add beside link eth1 type macvlan mode bridge")
	wantLine(t, "shared", dropCheck(h.preflightLines("lan"), "shares"), "beside", Pass, "nothing")
	wantLine(t, "not free for passthru", dropCheck(h.preflightLines("all"), "shares"), "beside", Fail, "beside of this host")
}

// TestPreflightOnDemand: a VLAN created on demand needs 8021q, and its trunk up.
func TestPreflightOnDemand(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	h.writeNetwork("lan", strings.Replace(lan, "eth1", "eth1.100", 1))
	wantLine(t, "on demand", h.preflightLines("lan"), "interface", Pass, "VLAN 100 of eth1, created with its first container")
	hasVLAN := testnet.Has(testnet.VLAN) // loads the module, which a check does not
	if got := mustFindLine(t, h.c.Preflight(h.Context(), "lan"), "8021q"); (got.Result == Pass) != hasVLAN || !hasVLAN && got.Result != Fail {
		t.Errorf("8021q: %+v", got)
	}
	h.runIP("link set eth1 down")
	wantLine(t, "trunk down", dropCheck(h.preflightLines("lan"), "carrier"), "up", Fail, "eth1 is down")
}

func TestPreflightVLAN(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	h := newHost(t)
	h.writeNetwork("lan", strings.Replace(lan, "eth1", "eth1.100", 1))
	h.runIP("link add link eth1 name tagged type vlan id 100")
	h.runIP("link set tagged up")
	wantLine(t, "there under another name", h.preflightLines("lan"), "interface", Pass, "VLAN 100 of eth1, named tagged")
	h.runIP("link set tagged down")
	wantLine(t, "down", dropCheck(h.preflightLines("lan"), "carrier"), "up", Fail, "tagged is down")
}
