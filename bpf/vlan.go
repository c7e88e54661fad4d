package bpf

import (
	"errors"
	"fmt"
)

// VLAN is a VLAN of a trunk.
type VLAN struct {
	TrunkIndex int
	ID         int // 1 to 4094
}

func (v VLAN) makeKey() vlanKey { return vlanKey{IfIndex: uint32(v.TrunkIndex), VLAN: uint32(v.ID)} }

// SetVLANs sets the VLANs that have a sub-interface of their own, with its index: their
// frames are counted there, and the programs on the trunk skip them. It deletes an earlier
// VLAN only if its sub-interface is gone, so it keeps one that Register has added since.
func (d *Datapath) SetVLANs(have map[VLAN]int) error {
	registered, err := d.maps.registeredVLANs()
	if err != nil {
		return err
	}
	var errs []error
	for v, index := range have {
		if registered[v] != index {
			errs = append(errs, setUnlessEqual(d.maps, mapVLANs, v.makeKey(), uint32(index)))
		}
	}
	for v, index := range registered {
		if _, ok := have[v]; ok || d.isVLAN(v, index) {
			continue
		}
		errs = append(errs, deleteIf(d.maps, mapVLANs, v.makeKey(), func(now uint32) bool { return now == uint32(index) }))
	}
	return errors.Join(errs...)
}

// isVLAN reports whether an interface is the sub-interface of a VLAN.
func (d *Datapath) isVLAN(v VLAN, index int) bool {
	l, err := d.tc.link(index)
	return err == nil && l.kind == "vlan" && l.vlan == v.ID && l.lower == v.TrunkIndex
}

func (m *Maps) registeredVLANs() (map[VLAN]int, error) {
	one, err := m.openMap(mapVLANs)
	if err != nil {
		return nil, err
	}
	all := make(map[VLAN]int)
	var key vlanKey
	var index uint32
	entries := one.Iterate()
	for entries.Next(&key, &index) {
		all[VLAN{TrunkIndex: int(key.IfIndex), ID: int(key.VLAN)}] = int(index)
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("list VLANs: %w", err)
	}
	return all, nil
}
