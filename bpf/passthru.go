package bpf

import (
	"errors"
	"fmt"

	"berth/bpf/sys"
)

// givePassthru assigns the whole parent to an endpoint.
func (m *Maps) givePassthru(e Endpoint) error {
	return m.withLock(func() error {
		p, err := m.parentOf(e.ParentIndex)
		if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
			return err
		}
		p.Slot = e.Slot
		return setUnlessEqual(m, mapParents, uint32(e.ParentIndex), p)
	})
}

// takePassthru returns the parent to the host: its own MAC replaces the passthru endpoint's
// among the endpoints.
func (m *Maps) takePassthru(e Endpoint) error {
	return m.withLock(func() error { return m.takeParent(e) })
}

func (m *Maps) takeParent(e Endpoint) error {
	p, err := m.parentOf(e.ParentIndex)
	if errors.Is(err, sys.ErrKeyNotExist) || err == nil && p.Slot != e.Slot {
		return nil
	} else if err != nil {
		return err
	}
	if p.MAC.IsZero() { // no agent has attached to it
		return deleteIf(m, mapParents, uint32(e.ParentIndex), func(v parentValue) bool { return v.Slot == e.Slot })
	}
	p.Slot = 0
	if err := setUnlessEqual(m, mapParents, uint32(e.ParentIndex), p); err != nil {
		return err
	}
	cookie, err := netnsCookie()
	if err != nil {
		return err
	}
	value := endpointValue{Is: partyValue{Flags: flagParent}, Cookie: cookie}
	return m.putEndpoint(parentKey(e.ParentIndex, p.MAC), value)
}

func (m *Maps) parentOf(ifindex int) (parentValue, error) {
	var p parentValue
	one, err := m.openMap(mapParents)
	if err != nil {
		return p, err
	}
	if err := one.Lookup(uint32(ifindex), &p); err != nil {
		return p, fmt.Errorf("look up parent %d: %w", ifindex, err)
	}
	return p, nil
}
