package bpf

import (
	"errors"
	"fmt"

	"berth/bpf/sys"
	"berth/specs"
)

// batchBytes bounds the buffer of one system call. It holds the values of all CPUs: with 64
// of them, the counters of 40 slots.
const batchBytes = 256 << 10

// EachCounters calls fn with the counters of the slots 0 to end-1, or of all slots if end
// is larger, in order. It reads many slots by one system call. fn must not keep the
// pointer.
func (m *Maps) EachCounters(end uint32, fn func(slot uint32, c *specs.Counters)) error {
	cpus, err := sys.PossibleCPU()
	if err != nil {
		return fmt.Errorf("count CPUs: %w", err)
	}
	base := make(map[uint32]specs.Counters)
	err = m.eachBase(end, func(slot uint32, v *baseValue) { base[slot] = v.Counters.toSpecs() })
	if err != nil {
		return fmt.Errorf("read the counters of earlier maps: %w", err)
	}
	var c specs.Counters // one for all: it escapes
	err = eachBatch(m, mapCounters, end, cpus, func(slot uint32, values []counters) {
		c = specs.Counters{}
		if len(base) != 0 {
			c = base[slot]
		}
		for i := range values {
			values[i].addTo(&c)
		}
		fn(slot, &c)
	})
	if err != nil {
		return fmt.Errorf("read counters: %w", err)
	}
	return nil
}

// eachBatch reads an array from its start; every key has per values.
func eachBatch[V any](m *Maps, name string, end uint32, per int, fn func(uint32, []V)) error {
	one, err := m.openMap(name)
	if err != nil {
		return err
	}
	end = min(end, one.MaxEntries())
	batch := min(end, max(1, uint32(batchBytes/(per*int(one.ValueSize())))))
	if batch == 0 {
		return nil
	}
	keys, values := make([]uint32, batch), make([]V, int(batch)*per)
	var cursor sys.Cursor
	for next := uint32(0); next < end; {
		n, err := one.BatchLookup(&cursor, keys, values)
		if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
			return err
		}
		for i := range min(uint32(n), end-next) {
			fn(keys[i], values[int(i)*per:int(i+1)*per])
		}
		if next += uint32(n); err != nil {
			return nil // no more keys
		}
	}
	return nil
}
