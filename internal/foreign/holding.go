package foreign

import (
	"net/netip"
	"slices"
	"strings"

	"berth/specs"
)

// Holding is an interface that another program gave a container, or the addresses that it keeps
// for one.
type Holding struct {
	Network   specs.EngineNetwork
	NetworkID string       // docker's ID of the network, or "" for other programs
	Container string       // the engine's ID of the container
	Interface string       // its name in the container, or "" if unknown
	MAC       specs.MAC    // zero if unknown
	Addresses []netip.Addr // without duplicates
}

// Interface is an interface that berth did not create, as the kernel shows it.
type Interface struct {
	Container string // the engine's ID of the container, or "" if unknown
	Name      string
	MAC       specs.MAC
	SharesMAC bool // the MAC is its parent's
	Addresses []netip.Prefix
}

// NetworkOf returns the network of an interface, or nil if no holding or holdings of several
// networks match.
func NetworkOf(i *Interface, all []Holding) *specs.EngineNetwork {
	var found *specs.EngineNetwork
	for n := range all {
		h := &all[n]
		if !h.matches(i) {
			continue
		}
		if found != nil && *found != h.Network {
			return nil
		}
		found = &h.Network
	}
	return found
}

// matches reports whether a holding is that of an interface. A MAC of its own suffices. A
// container may change its MAC, so that the address or the name suffices if the container is
// the same; without a container the address suffices if it is all that the program wrote.
func (h *Holding) matches(i *Interface) bool {
	knowsMAC := !h.MAC.IsZero() && !i.SharesMAC
	if knowsMAC && h.MAC == i.MAC {
		return true
	}
	shared := slices.ContainsFunc(i.Addresses, func(p netip.Prefix) bool { return slices.Contains(h.Addresses, p.Addr()) })
	if i.Container == "" || h.Container == "" {
		return shared && !knowsMAC
	}
	return isContainer(h.Container, i.Container) && (shared || h.Interface != "" && h.Interface == i.Name)
}

// isContainer reports whether a program's ID of a container is the runtime's. nerdctl gives
// CNI the ID after the namespace: default-ID.
func isContainer(id, runtimes string) bool {
	return id == runtimes || strings.HasSuffix(id, "-"+runtimes)
}
