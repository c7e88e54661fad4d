package bpf

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
	"berth/specs"
)

// Violations returns the violations of a slot by kind, without those that are 0. Slot 0 has
// the violations without an endpoint.
func (m *Maps) Violations(slot uint32) (map[specs.Kind]specs.Broken, error) {
	one, err := m.openMap(mapViolations)
	if err != nil {
		return nil, err
	}
	var v violations
	if err := one.Lookup(slot, &v); err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return nil, fmt.Errorf("read violations of slot %d: %w", slot, err)
	}
	sum, err := m.foundIn(slot)
	if err != nil {
		return nil, err
	}
	sum.addViolations(&v)
	all := make(map[specs.Kind]specs.Broken)
	sum.eachKind(func(kind specs.Kind, n specs.Broken) { all[kind] = n })
	return all, nil
}

// EachViolation calls fn for each slot and kind that has violations, in no order. It reads
// only existing entries, many slots by one system call.
func (m *Maps) EachViolation(fn func(slot uint32, kind specs.Kind, n specs.Broken)) error {
	found, err := m.allFound()
	if err != nil {
		return err
	}
	err = m.eachViolations(func(slot uint32, v *violations) {
		sum := found[slot]
		delete(found, slot)
		sum.addViolations(v)
		sum.eachKind(func(kind specs.Kind, n specs.Broken) { fn(slot, kind, n) })
	})
	if err != nil {
		return fmt.Errorf("read violations: %w", err)
	}
	for slot, v := range found {
		v.eachKind(func(kind specs.Kind, n specs.Broken) { fn(slot, kind, n) })
	}
	return nil
}

// violationsBatch bounds the slots whose violations one system call reads.
const violationsBatch = 512

func (m *Maps) eachViolations(fn func(slot uint32, v *violations)) error {
	one, err := m.openMap(mapViolations)
	if err != nil {
		return err
	}
	batch := min(one.MaxEntries(), violationsBatch)
	keys, values := make([]uint32, batch), make([]violations, batch)
	var cursor sys.Cursor
	for {
		n, err := one.BatchLookup(&cursor, keys, values)
		if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
			return err
		}
		for i := range n {
			fn(keys[i], &values[i])
		}
		if err != nil {
			return nil // no more entries
		}
	}
}

// zeroViolations deletes the violations of a slot; slot 0's entry is only zeroed, as the
// datapath may have no memory for a new one.
func (m *Maps) zeroViolations(slot uint32) error {
	if err := m.zeroFound(slot); err != nil {
		return err
	}
	if slot == 0 {
		return m.putElement(mapViolations, slot, violations{})
	}
	return deleteIf(m, mapViolations, slot, func(violations) bool { return true })
}

// startViolations creates the entry of slot 0 if it does not exist.
func (m *Maps) startViolations() error {
	one, err := m.openMap(mapViolations)
	if err != nil {
		return err
	}
	err = one.Update(uint32(0), violations{}, unix.BPF_NOEXIST)
	if err != nil && !errors.Is(err, sys.ErrKeyExist) {
		return fmt.Errorf("make the first entry of map %q: %w", mapViolations, err)
	}
	return nil
}

// addViolations adds the datapath's counts.
func (f *foundValue) addViolations(v *violations) {
	for i := range v.Of {
		f.Packets[i] += v.Of[i].Packets
		f.Dropped[i] += v.Of[i].Dropped
	}
}

func (f *foundValue) eachKind(fn func(specs.Kind, specs.Broken)) {
	for i, kind := range specs.Kinds() {
		if f.Packets[i] != 0 {
			fn(kind, specs.Broken{Packets: f.Packets[i], Dropped: f.Dropped[i]})
		}
	}
}
