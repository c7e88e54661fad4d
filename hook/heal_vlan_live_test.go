package hook

import (
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestHealKilledOnAVLAN kills a healer after it has made the VLAN again: the VLAN stays berth's, and is
// removed with its last user.
func TestHealKilledOnAVLAN(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	for _, step := range []string{"move the leases", "make the VLANs", "create the interfaces", "commit"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			h.network("lan", strings.Replace(lan, "PARENT", "PARENT.40", 1))
			a := h.box("a", "lan")
			h.mustStart(a)
			before, routes := h.firstOf("a"), testnet.Run(t, a.ns, "ip", "route")
			h.removeParent()
			h.returnParent()
			h.killHealAfter(step)
			h.heal()
			h.expectHealed(a, before, routes)
			h.mustStop(a)
			if links := testnet.Run(t, testnet.Here(t), "ip", "-o", "link"); strings.Contains(links, h.parent+".40@") {
				t.Errorf("the VLAN is left: %s", links)
			}
		})
	}
}
