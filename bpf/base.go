package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"github.com/cilium/ebpf"
)

// openBase returns the map of the counts taken over from earlier maps, or nil if there is none.
func (m *Maps) openBase() (*ebpf.Map, error) {
	if m.noBase.Load() {
		return nil, nil
	}
	one, err := m.openMap(mapBase)
	if errors.Is(err, fs.ErrNotExist) {
		m.noBase.Store(true) // a migration creates new Maps
		return nil, nil
	}
	return one, err
}

// baseOf returns the counts of earlier maps in a slot.
func (m *Maps) baseOf(slot uint32) (v baseValue, err error) {
	one, err := m.openBase()
	if err != nil || one == nil {
		return v, err
	}
	if err := one.Lookup(slot, &v); err != nil {
		return v, fmt.Errorf("read base of slot %d: %w", slot, err)
	}
	return v, nil
}

// eachBase calls fn with the base of every slot below end that has one.
func (m *Maps) eachBase(end uint32, fn func(uint32, *baseValue)) error {
	one, err := m.openBase()
	if err != nil || one == nil {
		return err
	}
	return eachBatch(m, mapBase, end, 1, func(slot uint32, values []baseValue) {
		if values[0] != (baseValue{}) {
			fn(slot, &values[0])
		}
	})
}

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
	earlier := &Maps{pins: old, open: make(map[string]*ebpf.Map)}
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

// makeBase creates the map if it does not exist, as large as the counters.
func (m *Maps) makeBase() (*ebpf.Map, error) {
	m.noBase.Store(false)
	if one, err := m.openMap(mapBase); !errors.Is(err, fs.ErrNotExist) {
		return one, err
	}
	one, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: mapBase, Type: ebpf.Array, KeySize: 4, ValueSize: uint32(binary.Size(baseValue{})), MaxEntries: m.Slots(),
	})
	if err != nil {
		return nil, fmt.Errorf("make map %q: %w", mapBase, err)
	}
	defer one.Close()
	if err := one.Pin(m.pins.objectPath(mapBase)); err != nil {
		return nil, fmt.Errorf("pin map %q: %w", mapBase, err)
	}
	return m.openMap(mapBase)
}

// olderBase is baseOf for a base with another layout: that of the counters beside it, which
// are its only member.
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
