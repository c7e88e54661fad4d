package bpf

import (
	"errors"
	"fmt"
	"io/fs"

	"berth/bpf/sys"
)

// mapCells are the places of the pinned map. Update copies a value of 64 bytes, aligned to
// them, by whole words at least.
type mapCells struct{ *sys.Map }

func (m mapCells) readPlace(index uint32) (v placeValue, err error) {
	if err := m.Lookup(index, &v); err != nil {
		return v, fmt.Errorf("look up in map %q: %w", mapPlaces, err)
	}
	return v, nil
}

func (m mapCells) writePlace(index uint32, v placeValue) error {
	if err := m.Put(index, v); err != nil {
		return fmt.Errorf("put into map %q: %w", mapPlaces, err)
	}
	return nil
}

// mapOverflow are the entries of the map "endpoints".
type mapOverflow struct{ *sys.Map }

func (m mapOverflow) lookupOverflow(k endpointKey) (v endpointValue, found bool, err error) {
	err = m.Lookup(k, &v)
	if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return v, false, fmt.Errorf("look up in map %q: %w", mapEndpoints, err)
	}
	return v, err == nil, nil
}

func (m mapOverflow) putOverflow(k endpointKey, v endpointValue) error {
	if err := m.Put(k, v); err != nil {
		return fmt.Errorf("put into map %q: %w", mapEndpoints, err)
	}
	return nil
}

func (m mapOverflow) deleteOverflow(k endpointKey) error {
	if err := m.Delete(k); err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return fmt.Errorf("delete from map %q: %w", mapEndpoints, err)
	}
	return nil
}

func (m mapOverflow) anyOverflow(is func(endpointKey) bool) (bool, error) {
	var k endpointKey
	err := m.NextKey(nil, &k)
	for err == nil && !is(k) {
		err = m.NextKey(k, &k)
	}
	if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return false, fmt.Errorf("list map %q: %w", mapEndpoints, err)
	}
	return err == nil, nil
}

// tableOf returns the table of MACs in two maps.
func tableOf(places, endpoints *sys.Map) *placeTable {
	return &placeTable{places: mapCells{places}, overflow: mapOverflow{endpoints}, count: places.MaxEntries(),
		now: monotonicNow}
}

// openTable returns the pinned table of MACs, or nil if an agent of an earlier release runs:
// its programs search the map "endpoints", behind the filter.
func (m *Maps) openTable() (*placeTable, error) {
	endpoints, err := m.openMap(mapEndpoints)
	if err != nil {
		return nil, err
	}
	places, err := m.openMap(mapPlaces)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	return tableOf(places, endpoints), nil
}

// lookupEndpoint returns the value of a MAC's key.
func (m *Maps) lookupEndpoint(k endpointKey) (v endpointValue, found bool, err error) {
	t, err := m.openTable()
	if err != nil {
		return v, false, err
	}
	if t != nil {
		return t.lookupKey(k)
	}
	one, err := m.openMap(mapEndpoints)
	if err != nil {
		return v, false, err
	}
	return mapOverflow{one}.lookupOverflow(k)
}

// putEndpoint sets the value of a MAC's key unless it has the value already, with the lock
// held.
func (m *Maps) putEndpoint(k endpointKey, v endpointValue) error {
	t, err := m.openTable()
	if err != nil {
		return err
	}
	if t == nil {
		return m.putUntabled(k, v)
	}
	if now, found, err := t.lookupKey(k); err != nil || found && now == v {
		return err
	}
	m.writes.Add(1)
	return t.putKey(k, v)
}

// putUntabled sets the value for programs of an earlier release.
func (m *Maps) putUntabled(k endpointKey, v endpointValue) error {
	if err := m.markExpected(k); err != nil {
		return err
	}
	return setUnlessEqual(m, mapEndpoints, k, v)
}

// setEndpoint is putEndpoint that takes the lock, if it has to write.
func (m *Maps) setEndpoint(k endpointKey, v endpointValue) error {
	now, found, err := m.lookupEndpoint(k)
	if err != nil || found && now == v {
		return err
	}
	return m.withLock(func() error { return m.putEndpoint(k, v) })
}

// deleteEndpoint deletes a MAC's key if want returns true for its value, with the lock
// held. A missing key is no error.
func (m *Maps) deleteEndpoint(k endpointKey, want func(endpointValue) bool) error {
	t, err := m.openTable()
	if err != nil {
		return err
	}
	if t == nil {
		return deleteIf(m, mapEndpoints, k, want)
	}
	return t.deleteKey(k, want)
}
