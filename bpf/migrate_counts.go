//go:build !hook

package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"

	"berth/bpf/sys"
)

// addBase sets the base of these maps to the counts of the old maps plus their own base. If
// it is repeated before the old counters are gone, the result is the same.
func (m *Maps) addBase(old pins) error {
	counted, err := ebpf.LoadPinnedMap(old.objectPath(mapCounters), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // done already
	} else if err != nil {
		return fmt.Errorf("open old counters: %w", err)
	}
	defer counted.Close()
	broke, err := ebpf.LoadPinnedMap(old.objectPath(mapViolations), nil)
	if err != nil {
		return fmt.Errorf("open old violations: %w", err)
	}
	defer broke.Close()
	earlier := &Maps{pins: old, open: make(map[string]*sys.Map)}
	defer earlier.Close()
	if err := m.addFound(broke, earlier); err != nil {
		return fmt.Errorf("violations: %w", err)
	}
	into, err := m.makeBase()
	if err != nil {
		return err
	}
	convert, err := old.conversionFrom(mapCounters, counted)
	if err != nil {
		return err
	}
	for slot := range counted.MaxEntries() {
		v, err := earlier.olderBase(slot, convert)
		if err == nil {
			err = v.addSlot(counted, slot, convert)
		}
		if err == nil && v != (baseValue{}) {
			err = into.Put(slot, v)
		}
		if err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
	}
	return nil
}

// olderBase returns the base of a slot, converted from an earlier layout. A base has one member, the
// counters, so the conversion of the map of counters applies to it.
func (m *Maps) olderBase(slot uint32, convert conversion) (v baseValue, err error) {
	one, err := m.openBase()
	if err != nil || one == nil {
		return v, err
	}
	var raw []byte
	if err := one.Lookup(slot, &raw); err != nil {
		return v, fmt.Errorf("read base of slot %d: %w", slot, err)
	}
	_, err = binary.Decode(convert.convertValue(raw), binary.NativeEndian, &v)
	return v, err
}

// addSlot adds the counts of a slot, converted if their layout is another.
func (v *baseValue) addSlot(old *ebpf.Map, slot uint32, convert conversion) error {
	var cpus [][]byte
	if err := old.Lookup(slot, &cpus); err != nil {
		return err
	}
	for _, raw := range cpus {
		var c counters
		if _, err := binary.Decode(convert.convertValue(raw), binary.NativeEndian, &c); err != nil {
			return err
		}
		v.Counters.addCounters(&c)
	}
	return nil
}

// addFound adds the counts of the old map of violations, and of its map "found", to those
// found here. If it is repeated, the result is the same.
func (m *Maps) addFound(old *ebpf.Map, earlier *Maps) error {
	sums, err := earlier.allFound()
	if err != nil {
		return err
	}
	if sums == nil {
		sums = make(map[uint32]foundValue)
	}
	convert, err := earlier.pins.conversionFrom(mapViolations, old)
	if err != nil {
		return err
	}
	var slot uint32
	var raw []byte
	entries := old.Iterate()
	for entries.Next(&slot, &raw) {
		var v violations
		if _, err := binary.Decode(convert.convertValue(raw), binary.NativeEndian, &v); err != nil {
			return err
		}
		sum := sums[slot]
		sum.addViolations(&v)
		if sum != (foundValue{}) {
			sums[slot] = sum
		}
	}
	if err := entries.Err(); err != nil || len(sums) == 0 {
		return err
	}
	into, err := m.makeFound()
	if err != nil {
		return err
	}
	for slot, v := range sums {
		if err := into.Put(slot, v); err != nil {
			return fmt.Errorf("slot %d: %w", slot, err)
		}
	}
	return nil
}
