package daemon

import (
	"testing"

	"berth/bpf"

	"github.com/google/go-cmp/cmp"
)

func TestVLANsOfLinks(t *testing.T) {
	got := vlansOf([]link{eth1, vlan, tun})
	want := map[bpf.VLAN]int{{TrunkIndex: eth1.index, ID: 100}: vlan.index}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
