package daemon

import (
	"fmt"
	"maps"

	"berth/bpf"
	"berth/network"
)

// hostLinks returns the links of the host as the plan needs them.
func hostLinks(h *network.Handle) ([]link, error) {
	all, err := h.Links()
	if err != nil {
		return nil, err
	}
	links := make([]link, 0, len(all))
	for i := range all {
		links = append(links, linkOf(&all[i]))
	}
	return links, nil
}

// vlansOf returns the VLANs that have a sub-interface of their own, which is
// where their frames are counted.
func vlansOf(links []link) map[bpf.VLAN]int {
	vlans := make(map[bpf.VLAN]int)
	for _, l := range links {
		if l.vlan != 0 {
			vlans[bpf.VLAN{TrunkIndex: l.trunk, ID: l.vlan}] = l.index
		}
	}
	return vlans
}

// tellVLANs tells the datapath of them when they have changed, before programs
// are attached: no frame is counted twice.
func (a *Agent) tellVLANs(links []link) error {
	vlans := vlansOf(links)
	if a.datapath == nil || a.vlans != nil && maps.Equal(a.vlans, vlans) {
		return nil
	}
	if err := a.datapath.SetVLANs(vlans); err != nil {
		return fmt.Errorf("VLANs of the trunks: %w", err)
	}
	a.vlans = vlans
	return nil
}

func linkOf(l *network.LinkInfo) link {
	k := link{index: l.Index, name: l.Name, mac: l.MAC, ethernet: l.Ethernet && !l.Loopback}
	if l.Kind == "vlan" && l.ParentNSID < 0 {
		k.trunk, k.vlan = l.ParentIndex, l.VLAN
	}
	return k
}
