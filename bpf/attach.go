package bpf

import (
	"errors"
	"fmt"
	"slices"

	"berth/bpf/sys"
	"berth/specs"
)

// The attach types.
const (
	TCX    = "tcx"    // a pinned link, since kernel 6.6
	Clsact = "clsact" // a filter of a clsact qdisc
)

// direction is a direction at the parent.
type direction uint8

const (
	ingress direction = iota
	egress
)

var ways = []direction{ingress, egress}

// String returns "ingress" or "egress".
func (w direction) String() string { return [...]string{"ingress", "egress"}[w] }

func checkAttach(kind string) error {
	if slices.Contains([]string{"", "auto", TCX, Clsact}, kind) {
		return nil
	}
	return specs.Invalid("attach", kind, "one of auto, %s, %s", TCX, Clsact)
}

func (d *Datapath) programFor(w direction) program {
	if w == ingress {
		return d.ingress
	}
	return d.egress
}

// Attach attaches the programs to a parent whose own MAC is mac. If it has them, Attach
// replaces programs of an earlier run and a changed MAC; no frame passes uncounted between
// the two. With "auto", it uses clsact if the kernel has no tcx.
func (d *Datapath) Attach(ifindex int, mac specs.MAC) error {
	return d.maps.withLock(func() error { return d.attachParent(ifindex, mac) })
}

// attachParent is Attach with the lock held.
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
		err = errors.Join(err, d.detachParent(ifindex))
	}
	return err
}

func (d *Datapath) attachPrograms(ifindex int) error {
	if d.attach != Clsact {
		err := d.attachTCX(ifindex)
		if err == nil {
			return d.detachClsact(ifindex) // from a run with the other setting
		}
		if d.attach == TCX || !errors.Is(err, sys.ErrNotSupported) {
			return err
		}
	}
	if err := d.attachClsact(ifindex); err != nil {
		return err
	}
	return d.detachTCX(ifindex)
}

// ownMAC stores the parent's own MAC, which identifies the host's frames. The endpoint of a
// passthru parent has the same MAC, also after it has changed it: all frames of that parent
// are its own.
func (d *Datapath) ownMAC(ifindex int, mac specs.MAC) error {
	p, err := d.maps.parentOf(ifindex)
	if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return err
	}
	if err == nil && p.MAC != mac {
		if err := d.maps.dropParentKey(ifindex, p.MAC); err != nil {
			return err
		}
	}
	p.MAC = mac
	if err := setUnlessEqual(d.maps, mapParents, uint32(ifindex), p); err != nil {
		return err
	}
	if p.Slot != 0 {
		return nil
	}
	value := endpointValue{Is: partyValue{Flags: flagParent}, Cookie: d.cookie}
	if p.Flags&parentIPvlan != 0 {
		value.Is.Flags |= flagIPvlan
	}
	_, found, err := d.maps.lookupEndpoint(parentKey(ifindex, mac))
	if err != nil || found {
		return err
	}
	return d.maps.putEndpoint(parentKey(ifindex, mac), value)
}

func (m *Maps) dropParentKey(ifindex int, mac specs.MAC) error {
	return m.deleteEndpoint(parentKey(ifindex, mac),
		func(v endpointValue) bool { return v.Is.Flags&flagParent != 0 })
}

// Detach removes berth's programs from a parent, whichever process attached them. If there
// are none, or the parent is gone, it does nothing. Counts and endpoints stay.
func (d *Datapath) Detach(ifindex int) error {
	return d.maps.withLock(func() error { return d.detachParent(ifindex) })
}

// detachParent is Detach with the lock held.
func (d *Datapath) detachParent(ifindex int) error {
	err := errors.Join(d.detachTCX(ifindex), d.detachClsact(ifindex), d.maps.forgetParent(ifindex))
	if err != nil {
		return fmt.Errorf("detach from interface %d: %w", ifindex, err)
	}
	return nil
}

// forgetParent deletes the entries of a parent, unless they mark it as a passthru
// endpoint's or as shared by ipvlan endpoints.
func (m *Maps) forgetParent(ifindex int) error {
	p, err := m.parentOf(ifindex)
	if errors.Is(err, sys.ErrKeyNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := m.dropParentKey(ifindex, p.MAC); err != nil {
		return err
	}
	kept := parentValue{Slot: p.Slot, Flags: p.Flags & (parentIPvlan | parentEnforces | parentUnmarked)}
	if kept != (parentValue{}) {
		return setUnlessEqual(m, mapParents, uint32(ifindex), kept)
	}
	return deleteIf(m, mapParents, uint32(ifindex), func(v parentValue) bool { return v.Slot == 0 })
}

// DetachAll removes berth's programs from every parent, and keeps hooks from attaching them
// to another until Resume or the next Load.
func (d *Datapath) DetachAll() error {
	withheld := d.removePinned()
	indices, err := d.knownParents()
	errs := []error{withheld, err}
	for _, ifindex := range indices {
		errs = append(errs, d.Detach(ifindex))
	}
	return errors.Join(errs...)
}

// knownParents returns every interface index in the maps or the pins.
func (d *Datapath) knownParents() ([]int, error) {
	all, err := d.pins.linkedParents()
	if err != nil {
		return nil, err
	}
	one, err := d.maps.openMap(mapParents)
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

// sweepStale deletes stale entries of deleted parents and of interrupted attachments.
func (d *Datapath) sweepStale() error {
	indices, err := d.knownParents()
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
