package bpf

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
)

// SetHostAddresses sets the host's addresses on a parent, by the index of its interface, and
// deletes earlier ones that are not among them. An endpoint that asks for one of them is
// isolated from the host (specs/violations.md, host-isolation), so leave out an address that
// containers reach by another interface of the host on the same parent. An address that an
// endpoint was assigned stays the endpoint's.
func (m *Maps) SetHostAddresses(parentIndex int, all []netip.Addr) error {
	if err := m.reopenReplaced(); err != nil {
		return err
	}
	one, err := m.openMap(mapAddresses)
	if err != nil {
		return err
	}
	wanted := make(map[addressKey]bool, len(all))
	for _, a := range all {
		wanted[addressKey{Addr: addressBytes(a), IfIndex: uint32(parentIndex)}] = true
	}
	registered, err := hostAddresses(one, parentIndex)
	if err != nil {
		return err
	}
	var errs []error
	for _, key := range registered {
		if !wanted[key] {
			errs = append(errs, deleteIf(m, mapAddresses, key, func(p partyValue) bool { return p.Slot == addressHost }))
		}
	}
	for key := range wanted {
		err := one.Update(key, partyValue{Slot: addressHost}, unix.BPF_NOEXIST)
		if err != nil && !errors.Is(err, sys.ErrKeyExist) {
			errs = append(errs, fmt.Errorf("put into map %q: %w", mapAddresses, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("addresses of the host on interface %d: %w", parentIndex, err)
	}
	return nil
}

// hostAddresses returns the host's addresses set for a parent.
func hostAddresses(one *sys.Map, parentIndex int) (registered []addressKey, err error) {
	var key addressKey
	var p partyValue
	entries := one.Iterate()
	for entries.Next(&key, &p) {
		if p.Slot == addressHost && key.IfIndex == uint32(parentIndex) {
			registered = append(registered, key)
		}
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("list addresses: %w", err)
	}
	return registered, nil
}
