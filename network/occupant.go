package network

import (
	"fmt"

	"berth/specs"
)

// Occupant is a macvlan or ipvlan interface that already is on a parent.
type Occupant struct {
	Name   string
	Index  int
	Driver specs.Driver
	Mode   specs.Mode
	Flag   specs.IPvlanFlag
	MAC    specs.MAC
}

// Occupants returns the macvlan, macvtap, ipvlan and ipvtap interfaces of a
// parent that are in the handle's namespace. It cannot see those in other
// namespaces.
func (h *Handle) Occupants(parentIndex int) ([]Occupant, error) {
	var all []Occupant
	for _, kind := range []string{"macvlan", "macvtap", "ipvlan", "ipvtap"} {
		links, err := h.dumpLinks(kind)
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

// Use returns the occupant's use of its parent.
func (o *Occupant) Use() Use { return Use{o.Driver, o.Mode, o.Flag} }

// CheckOccupants is [Use.CheckSharing] for each interface that is on a parent.
func CheckOccupants(u Use, occupants []Occupant) error {
	for _, o := range occupants {
		if err := u.CheckSharing(o.Use(), fmt.Sprintf("interface %q of the host", o.Name)); err != nil {
			return err
		}
	}
	return nil
}
