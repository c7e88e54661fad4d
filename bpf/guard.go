package bpf

import (
	"errors"

	"berth/bpf/sys"
)

// SetGuarded sets whether a network of a parent's ipvlan endpoints enforces rules, and whether one of
// the endpoints has no sibling program that marks its frames (unmarked). The guard programs drop a
// frame for the lack of a mark alone only if the first is true and the second is not. SetGuarded
// does nothing if the maps do not have the parent. Register sets the first, for an endpoint of such
// a network.
func (m *Maps) SetGuarded(parentIndex int, enforces, unmarked bool) error {
	var wanted uint8
	if enforces {
		wanted |= parentEnforces
	}
	if unmarked {
		wanted |= parentUnmarked
	}
	const bits = parentEnforces | parentUnmarked
	p, err := m.parentOf(parentIndex)
	if err == nil && p.Flags&bits == wanted || errors.Is(err, sys.ErrKeyNotExist) {
		return nil
	}
	return m.withLock(func() error {
		p, err := m.parentOf(parentIndex)
		if errors.Is(err, sys.ErrKeyNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		p.Flags = p.Flags&^bits | wanted
		return setUnlessEqual(m, mapParents, uint32(parentIndex), p)
	})
}
