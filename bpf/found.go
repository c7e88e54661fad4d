package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
	"berth/specs"
)

// AddViolation adds n violations of a kind to a slot. The agent must judge the kind:
// Kind.Judge returns specs.JudgeAgent, or the kind is duplicate-ip, which the agent and the
// datapath judge. The count lasts as long as the datapath's counts, and is read and zeroed with
// them.
//
// Only one process at a time may call it, and only while the slot belongs to an endpoint:
// inside a View of the store in which the attachment is live. Slot 0 is for violations
// without an endpoint.
func (m *Maps) AddViolation(slot uint32, kind specs.Kind, n uint64) error {
	number := slices.Index(specs.Kinds(), kind)
	if number < 0 || kind.Judge() != specs.JudgeAgent && kind != specs.DuplicateIP {
		return fmt.Errorf("add violation %q: want a kind that the agent judges, or %q", kind, specs.DuplicateIP)
	}
	if slots := m.Slots(); slot >= slots {
		return fmt.Errorf("add violation %q to slot %d: want 0 to %d", kind, slot, int64(slots)-1)
	}
	m.adding.Lock()
	defer m.adding.Unlock()
	if err := m.reopenReplaced(); err != nil {
		return err
	}
	one, err := m.makeFound()
	if err != nil {
		return err
	}
	v, err := m.foundIn(slot)
	if err != nil {
		return err
	}
	v.Packets[number] += n
	if err := one.Put(slot, v); err != nil {
		return fmt.Errorf("add violation %q to slot %d: %w", kind, slot, err)
	}
	return nil
}

// openFound returns the map of the violations that userspace has added, or nil if there is none.
func (m *Maps) openFound() (*sys.Map, error) {
	one, err := m.openMap(mapFound)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // another process may create it at any time
	}
	return one, err
}

// foundIn returns the violations that userspace has added in a slot.
func (m *Maps) foundIn(slot uint32) (v foundValue, err error) {
	one, err := m.openFound()
	if err != nil || one == nil {
		return v, err
	}
	if err := one.Lookup(slot, &v); err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return v, fmt.Errorf("read violations found in slot %d: %w", slot, err)
	}
	return v, nil
}

// makeFound creates the map if it does not exist. It has room for every slot, and takes
// memory only for the used ones.
func (m *Maps) makeFound() (*sys.Map, error) {
	if one, err := m.openMap(mapFound); !errors.Is(err, fs.ErrNotExist) {
		return one, err
	}
	one, err := sys.CreateMap(sys.MapSpec{
		Name: mapFound, Type: unix.BPF_MAP_TYPE_HASH, KeySize: 4, ValueSize: uint32(binary.Size(foundValue{})),
		Entries: m.Slots(), Flags: unix.BPF_F_NO_PREALLOC,
	})
	if err != nil {
		return nil, fmt.Errorf("make map %q: %w", mapFound, err)
	}
	defer one.Close()
	if err := one.Pin(m.pins.objectPath(mapFound)); err != nil {
		return nil, fmt.Errorf("pin map %q: %w", mapFound, err)
	}
	return m.openMap(mapFound)
}

// allFound returns the violations that userspace has added, by slot.
func (m *Maps) allFound() (map[uint32]foundValue, error) {
	one, err := m.openFound()
	if err != nil || one == nil {
		return nil, err
	}
	all := make(map[uint32]foundValue)
	var slot uint32
	var v foundValue
	entries := one.Iterate()
	for entries.Next(&slot, &v) {
		all[slot] = v
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("list violations found: %w", err)
	}
	return all, nil
}

func (m *Maps) zeroFound(slot uint32) error {
	if one, err := m.openFound(); err != nil || one == nil {
		return err
	}
	return deleteIf(m, mapFound, slot, func(foundValue) bool { return true })
}
