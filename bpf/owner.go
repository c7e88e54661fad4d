package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"berth/bpf/sys"
	"berth/specs"
)

// CookieOf returns the cookie of the namespace that a macvlan interface is in, by its MAC and its
// parent's index, without entering that namespace. It returns 0 if there is no such interface, if
// the kernel does not show its types, or if the maps are not those of a [Datapath]. It must be
// called in the host's namespace.
func (m *Maps) CookieOf(parentIndex int, mac specs.MAC) (uint64, error) {
	if m.searchOwner == nil {
		return 0, nil
	}
	cookie, err := m.searchOwner(parentIndex, mac)
	if err != nil {
		return 0, fmt.Errorf("search for the namespace of %s on interface %d: %w", mac, parentIndex, err)
	}
	return cookie, nil
}

// SlotOf returns the slot of the endpoint that an address on a parent is assigned to, or 0 if no
// endpoint or the host has it.
func (m *Maps) SlotOf(parentIndex int, a netip.Addr) (uint32, error) {
	one, err := m.openMap(mapAddresses)
	if err != nil {
		return 0, err
	}
	var p partyValue
	err = one.Lookup(Endpoint{ParentIndex: parentIndex}.addressKey(a), &p)
	switch {
	case errors.Is(err, sys.ErrKeyNotExist), p.Slot == addressHost:
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("look up %s in map %q: %w", a, mapAddresses, err)
	}
	return p.Slot, nil
}
