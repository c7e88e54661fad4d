//go:build !hook

package bpf

import (
	"errors"
	"fmt"

	"berth/bpf/sys"
)

// AttachShim attaches the shim program to an ipvlan interface of the caller's namespace, the host's,
// unless it is there: it marks frames, which the guard programs of containers then accept. The
// program leaves with the interface.
func (d *Datapath) AttachShim(ifindex int) error {
	if d.shims[ifindex] || d.hasShim(ifindex) {
		return nil
	}
	e := Endpoint{Slot: uint32(ifindex), Index: ifindex} // the name of the link has the index
	err := d.maps.linkInside(shimProgram, d.shim, e)
	if errors.Is(err, sys.ErrNotSupported) {
		if err = filterInside(shimProgram, d.shim, ifindex); err == nil {
			d.shims[ifindex] = true
		}
	}
	if err != nil {
		return fmt.Errorf("attach the %s to interface %d: %w", shimProgram, ifindex, err)
	}
	return nil
}

// KeepShims forgets the host's interfaces but these: another interface can get the index of one
// that was deleted.
func (d *Datapath) KeepShims(indices map[int]bool) {
	for ifindex := range d.shims {
		if !indices[ifindex] {
			delete(d.shims, ifindex)
		}
	}
}

// hasShim reports whether the shim program is attached to an interface by its pinned link.
func (d *Datapath) hasShim(ifindex int) bool {
	l, err := sys.LoadPinnedLink(d.pins.insidePath(shimProgram, uint32(ifindex)))
	if err != nil {
		return false
	}
	defer l.Close()
	return insideIndex(l) == ifindex
}
