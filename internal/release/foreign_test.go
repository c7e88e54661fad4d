package release

import (
	"testing"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// TestForeignLinksAreNotMoved checks that neither the trunk of a VLAN nor another program's
// ipvlan interface is taken for an interface whose start was killed: all have one MAC.
func TestForeignLinksAreNotMoved(t *testing.T) {
	t.Parallel()
	mac := specs.MAC{2, 0, 0x5e, 0, 0x53, 1}
	started := &state.Attachment{Driver: specs.IPvlan, Mode: specs.ModeL2, MAC: mac, Phase: specs.PhaseAttaching, Cookie: 7, Interface: "net1"}
	passthru := &state.Attachment{Driver: specs.Macvlan, Mode: specs.ModePassthru, MAC: mac, ParentIndex: 3, Cookie: 7, Interface: "net1"}
	links := map[string]network.LinkInfo{
		"trunk":           {Index: 3, MAC: mac},
		"foreign ipvlan":  {Index: 4, MAC: mac, ParentIndex: 3, Driver: specs.IPvlan},
		"foreign macvlan": {Index: 5, MAC: mac, ParentIndex: 3, Driver: specs.Macvlan},
	}
	for name, l := range links {
		for _, a := range []*state.Attachment{started, passthru} {
			if isMoved(a, &l) {
				t.Errorf("%s is taken for %+v", name, a)
			}
		}
	}
	own := network.LinkInfo{Index: 6, MAC: mac, ParentIndex: 3, Driver: specs.IPvlan, Alias: started.Alias()}
	if !isMoved(started, &own) {
		t.Error("the interface with the alias is not recognised")
	}
}
