package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
)

// openBase returns the map of the counts taken over from earlier maps, or nil if there is none.
func (m *Maps) openBase() (*sys.Map, error) {
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

// makeBase creates the map if it does not exist, as large as the counters.
func (m *Maps) makeBase() (*sys.Map, error) {
	m.noBase.Store(false)
	if one, err := m.openMap(mapBase); !errors.Is(err, fs.ErrNotExist) {
		return one, err
	}
	one, err := sys.CreateMap(sys.MapSpec{
		Name: mapBase, Type: unix.BPF_MAP_TYPE_ARRAY, KeySize: 4, ValueSize: uint32(binary.Size(baseValue{})),
		Entries: m.Slots(),
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
