package bpf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"

	"berth/specs"
)

// The kinds of attachment.
const (
	TCX    = "tcx"    // a pinned link, from kernel 6.6
	Clsact = "clsact" // a filter of a clsact qdisc
)

// way is a direction at the parent.
type way uint8

const (
	ingress way = iota
	egress
)

var ways = []way{ingress, egress}

// String returns "ingress" or "egress".
func (w way) String() string { return [...]string{"ingress", "egress"}[w] }

func checkAttach(kind string) error {
	if slices.Contains([]string{"", "auto", TCX, Clsact}, kind) {
		return nil
	}
	return specs.Invalid("attach", kind, "one of auto, %s, %s", TCX, Clsact)
}

func (d *Datapath) program(w way) *ebpf.Program {
	if w == ingress {
		return d.ingress
	}
	return d.egress
}

// Attach puts the programs on a parent, whose own MAC is mac; on one that has
// them, it replaces programs of an earlier run and a MAC that has changed.
// No frame is left out between the two. With "auto", clsact is used where the
// kernel has no tcx.
func (d *Datapath) Attach(ifindex int, mac specs.MAC) error {
	return d.maps.exclusively(func() error { return d.attachParent(ifindex, mac) })
}

// attachParent is Attach under the lock.
func (d *Datapath) attachParent(ifindex int, mac specs.MAC) error {
	if err := d.ownMAC(ifindex, mac); err != nil {
		return fmt.Errorf("attach to interface %d: %w", ifindex, err)
	}
	before, err := d.kindAt(ifindex)
	if err == nil {
		err = d.attachPrograms(ifindex)
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("attach to interface %d: %w", ifindex, err)
	if before == "" {
		err = errors.Join(err, d.detach(ifindex))
	}
	return err
}

func (d *Datapath) attachPrograms(ifindex int) error {
	if d.attach != Clsact {
		err := d.attachTCX(ifindex)
		if err == nil {
			return d.detachClsact(ifindex) // of a run with the other setting
		}
		if d.attach == TCX || !errors.Is(err, ebpf.ErrNotSupported) {
			return err
		}
	}
	if err := d.attachClsact(ifindex); err != nil {
		return err
	}
	return d.detachTCX(ifindex)
}

// ownMAC enters the parent's own MAC, so that frames of the host are known.
// The endpoint of a passthru parent has the same one, also after it has changed
// it: all frames of that parent are its own.
func (d *Datapath) ownMAC(ifindex int, mac specs.MAC) error {
	p, err := d.maps.parent(ifindex)
	if err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return err
	}
	if err == nil && p.MAC != mac {
		if err := d.maps.dropParentKey(ifindex, p.MAC); err != nil {
			return err
		}
	}
	p.MAC = mac
	if err := keep(d.maps, mapParents, uint32(ifindex), p); err != nil {
		return err
	}
	if p.Slot != 0 {
		return nil
	}
	if err := d.maps.expect(parentKey(ifindex, mac)); err != nil {
		return err
	}
	endpoints, err := d.maps.get(mapEndpoints)
	if err != nil {
		return err
	}
	value := endpointValue{Is: partyValue{Flags: flagParent}, Cookie: d.cookie}
	if p.Flags&parentIPvlan != 0 {
		value.Is.Flags |= flagIPvlan
	}
	err = endpoints.Update(parentKey(ifindex, mac), value, ebpf.UpdateNoExist)
	if err != nil && !errors.Is(err, ebpf.ErrKeyExist) {
		return fmt.Errorf("put into map %q: %w", mapEndpoints, err)
	}
	return nil
}

func (m *Maps) dropParentKey(ifindex int, mac specs.MAC) error {
	return deleteIf(m, mapEndpoints, parentKey(ifindex, mac),
		func(v endpointValue) bool { return v.Is.Flags&flagParent != 0 })
}

// Detach takes our programs off a parent, whoever attached them. One that has
// none, or that is gone, is no error. Counts and endpoints stay.
func (d *Datapath) Detach(ifindex int) error {
	return d.maps.exclusively(func() error { return d.detach(ifindex) })
}

// detach is Detach under the lock.
func (d *Datapath) detach(ifindex int) error {
	err := errors.Join(d.detachTCX(ifindex), d.detachClsact(ifindex), d.maps.forgetParent(ifindex))
	if err != nil {
		return fmt.Errorf("detach from interface %d: %w", ifindex, err)
	}
	return nil
}

// forgetParent removes the entries of a parent, but not that it is given to a
// passthru endpoint, or shared by those of ipvlan.
func (m *Maps) forgetParent(ifindex int) error {
	p, err := m.parent(ifindex)
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := m.dropParentKey(ifindex, p.MAC); err != nil {
		return err
	}
	if kept := (parentValue{Slot: p.Slot, Flags: p.Flags & parentIPvlan}); kept != (parentValue{}) {
		return keep(m, mapParents, uint32(ifindex), kept)
	}
	return deleteIf(m, mapParents, uint32(ifindex), func(v parentValue) bool { return v.Slot == 0 })
}

// DetachAll takes our programs off every parent, and keeps hooks from putting
// them on another until Resume, or the next Load.
func (d *Datapath) DetachAll() error {
	withheld := d.withhold()
	indices, err := d.parents()
	errs := []error{withheld, err}
	for _, ifindex := range indices {
		errs = append(errs, d.Detach(ifindex))
	}
	return errors.Join(errs...)
}

// parents returns every interface index that the maps or the pins know.
func (d *Datapath) parents() ([]int, error) {
	all, err := d.pins.linked()
	if err != nil {
		return nil, err
	}
	one, err := d.maps.get(mapParents)
	if err != nil {
		return nil, err
	}
	var index uint32
	var p parentValue
	entries := one.Iterate()
	for entries.Next(&index, &p) {
		all = append(all, int(index))
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("list parents: %w", err)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// sweep removes what is left of parents that are gone, and of an attachment
// that was cut short.
func (d *Datapath) sweep() error {
	indices, err := d.parents()
	if err != nil {
		return err
	}
	for _, ifindex := range indices {
		kind, err := d.kindAt(ifindex)
		if err == nil && kind == "" {
			err = d.Detach(ifindex)
		}
		if err != nil {
			return fmt.Errorf("clean up after interface %d: %w", ifindex, err)
		}
	}
	return nil
}
