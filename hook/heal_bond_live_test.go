package hook

import (
	"slices"
	"testing"

	"berth/internal/testnet"
)

// TestHealOnBond removes a bond and makes it again, as a restart of the host's network does. Its port
// stays, and the bond takes the port's MAC as before.
func TestHealOnBond(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Bond)
	h := newHost(t)
	port, here := h.parent, testnet.Here(t)
	h.parent = testnet.Unique("b")
	testnet.Address(t, h.lan, "wire", "192.0.2.1/24")
	makeBond := func() {
		testnet.Run(t, here, "ip", "link", "add", h.parent, "type", "bond", "mode", "active-backup", "miimon", "10")
		testnet.Run(t, here, "ip", "link", "set", port, "down")
		testnet.Run(t, here, "ip", "link", "set", port, "master", h.parent)
		testnet.Up(t, here, h.parent)
	}
	makeBond()
	d := h.pinDatapath("auto")
	a, before, routes := h.startOnLAN()
	h.removeParent()
	h.collectNothing()
	makeBond()
	if healed := h.heal(); !slices.Equal(healed, []string{"a"}) {
		t.Errorf("healed %v", healed)
	}
	h.expectHealed(a, before, routes)
	h.countsAll(d, a)
	testnet.Eventually(t, "the LAN is reached", func() bool { return pingWithin(t, a.ns, "192.0.2.1", 2) == nil })
	h.mustStop(a)
}
