package network

import (
	"fmt"

	"berth/specs"
)

// Occupant is a macvlan or ipvlan interface that is on a parent already.
type Occupant struct {
	Name   string
	Index  int
	Driver specs.Driver
	Mode   specs.Mode
	Flag   specs.IPvlanFlag
	MAC    specs.MAC
}

// Occupants returns the macvlan, macvtap, ipvlan and ipvtap interfaces on a
// parent that are in the handle's namespace. Those that were made in, or moved
// to, other namespaces cannot be seen from here.
func (h *Handle) Occupants(parentIndex int) ([]Occupant, error) {
	var all []Occupant
	for _, kind := range []string{"macvlan", "macvtap", "ipvlan", "ipvtap"} {
		links, err := h.links(kind)
		if err != nil {
			return nil, err
		}
		for _, l := range links {
			if l.ParentIndex == parentIndex && l.ParentNSID < 0 {
				all = append(all, Occupant{l.Name, l.Index, l.Driver, l.Mode, l.Flag, l.MAC})
			}
		}
	}
	return all, nil
}

// CheckOccupants says, by [ErrParentBusy], why an interface cannot be put
// beside those that a parent has. The kernel holds a parent to one driver and
// passthru to itself; but another mode of ipvlan it would give to all ipvlan
// interfaces of the parent (ipvlan_set_port_mode in
// drivers/net/ipvlan/ipvlan_main.c).
func CheckOccupants(l Link, occupants []Occupant) error {
	for _, o := range occupants {
		why := ""
		switch {
		case o.Driver != l.Driver:
			why = "a parent carries macvlan or ipvlan, not both"
		case o.Mode == specs.ModePassthru || l.Mode == specs.ModePassthru:
			why = "passthru needs the parent for itself"
		case l.Driver == specs.IPvlan && (o.Mode != l.Mode || o.Flag != orBridge(l.Flag)):
			why = "all ipvlan interfaces of a parent have one mode and flag"
		default:
			continue
		}
		return fmt.Errorf("%w: %s %q in mode %s is on it, and %s", ErrParentBusy, o.Driver, o.Name, o.Mode, why)
	}
	return nil
}

func orBridge(f specs.IPvlanFlag) specs.IPvlanFlag {
	if f == "" {
		return specs.FlagBridge
	}
	return f
}
