package daemon

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"berth/agent"
	"berth/internal/foreign"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// foreignAddresses returns the addresses that berth must not give out: those of observed
// interfaces, those in docker's files, and those that podman and CNI gave out on macvlan and
// ipvlan networks. It is a pure function.
//
// docker's files do not name the parent of a network, so their addresses are held on each.
func foreignAddresses(observed []*state.Attachment, holdings []foreign.Holding, networks []foreign.Network,
	links []network.LinkInfo) (all []state.ForeignAddress) {
	parents := make(map[netip.Addr][]int) // of all
	add := func(a netip.Addr, parent int, holder string) {
		all, parents[a] = append(all, state.ForeignAddress{Addr: a, ParentIndex: parent, Holder: holder}), append(parents[a],
			parent)
	}
	for _, at := range observed {
		holder := fmt.Sprintf("%s of %s", at.Interface, cmp.Or(agent.NamesFor(at).Name, at.Containers[0]))
		for _, p := range at.Addresses {
			add(p.Addr(), at.ParentIndex, holder)
		}
	}
	for i := range holdings {
		h := &holdings[i]
		index, isOnLAN := parentOfForeign(h.Network, networks, links)
		if !isOnLAN {
			continue
		}
		for _, a := range h.Addresses {
			if known := parents[a]; index == 0 && len(known) == 0 || index != 0 && !slices.Contains(known, index) {
				add(a, index, h.Network.String())
			}
		}
	}
	return all
}

// parentOfForeign returns the index of the parent of another program's network, or 0 if it is
// unknown, and whether the network may be on one.
func parentOfForeign(name specs.EngineNetwork, networks []foreign.Network,
	links []network.LinkInfo) (index int, isOnLAN bool) {
	if name.Engine == specs.EngineDocker {
		return 0, true
	}
	i := slices.IndexFunc(networks, func(n foreign.Network) bool { return n.Name == name })
	if i < 0 {
		return 0, false
	}
	for _, l := range links {
		if l.Name == networks[i].Parent || slices.Contains(l.AltNames, networks[i].Parent) {
			return l.Index, true
		}
	}
	return 0, true
}
