package hook

import (
	"strings"
	"testing"

	"berth/internal/state"
)

// startSticky starts two containers, first and a, on a network that remembers addresses, and returns the
// second and its attachment.
func (h *host) startSticky() (*box, *state.Attachment) {
	h.Helper()
	h.network("lan", strings.Replace(lan, "[[", "sticky = true\n[[", 1))
	h.mustStart(h.box("first", "lan"))
	a := h.box("a", "lan")
	h.mustStart(a)
	return a, h.firstOf("a")
}

func TestStickyKeepsAddressAndMAC(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a, had := h.startSticky()
	h.mustStop(a)
	h.mustStop(&box{id: "first"}) // a lower address is free now

	again := h.box("a", "lan")
	h.mustStart(again)
	if got := h.firstOf("a"); got.Addresses[0] != had.Addresses[0] || got.MAC != had.MAC {
		t.Errorf("%v %s, had %v %s", got.Addresses, got.MAC, had.Addresses, had.MAC)
	}
	h.mustStop(again)

	h.write("berth.toml", open)
	taker := h.box("taker", `[{"name":"lan","ips":["`+had.Addresses[0].Addr().String()+`"],"mac":"`+had.MAC.String()+`"}]`)
	h.mustStart(taker)
	h.mustStart(again)
	if got := h.firstOf("a"); got.Addresses[0] == had.Addresses[0] || got.MAC == had.MAC {
		t.Errorf("%v %s, which another has", got.Addresses, got.MAC)
	}
}

// TestStickyKeepsTheAddressOverAHeal requires that a container gets its address again at its next
// start although its interface vanished with its parent and was made again in between.
func TestStickyKeepsTheAddressOverAHeal(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	a, had := h.startSticky()
	h.removeParent()
	h.returnParent()
	if healed := h.heal(); len(healed) != 2 {
		t.Fatalf("healed %q, want both containers", healed)
	}
	h.mustStop(a)
	h.mustStop(&box{id: "first"}) // a lower address is free now
	h.mustStart(h.box("a", "lan"))
	if got := h.firstOf("a"); got.Addresses[0] != had.Addresses[0] || got.MAC != had.MAC {
		t.Errorf("%v %s, had %v %s", got.Addresses, got.MAC, had.Addresses, had.MAC)
	}
}
