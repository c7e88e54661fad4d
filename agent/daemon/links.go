package daemon

import "berth/network"

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

func linkOf(l *network.LinkInfo) link {
	k := link{index: l.Index, name: l.Name, mac: l.MAC, ethernet: l.Ethernet && !l.Loopback}
	if l.Kind == "vlan" && l.ParentNSID < 0 {
		k.trunk, k.vlan = l.ParentIndex, l.VLAN
	}
	return k
}
