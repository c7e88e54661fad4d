//go:build !hook

package bpf

import (
	"encoding/binary"
	"slices"

	"github.com/cilium/ebpf"

	"berth/bpf/sys"
)

// renewTable replaces the map "endpoints" too if the table of MACs is replaced, or is made
// for the first time: a key must be where the new table's programs search it.
func (m *migration) renewTable(pinned map[string]*ebpf.Map) {
	m.newTable = pinned[mapPlaces] == nil || slices.Contains(m.copies, mapPlaces)
	if m.newTable && pinned[mapEndpoints] != nil && !slices.Contains(m.copies, mapEndpoints) {
		m.copies = append(m.copies, mapEndpoints)
		m.into = m.from.nextDirectory()
	}
}

// copyPlaces puts the keys of an older table into the new one.
func (m *migration) copyPlaces() error {
	return m.intoTable(mapPlaces, func(t *placeTable, _, value []byte) error {
		var p placeValue
		if _, err := binary.Decode(value, binary.NativeEndian, &p); err != nil {
			return err
		}
		if p.Word == 0 || p.Word == wordDeleted {
			return nil
		}
		return t.putKey(p.makeKey(), p.Of)
	})
}

// copyEndpoints puts the keys of the older map into the table, unless a place had them. If
// the table stays, they stay beside it.
func (m *migration) copyEndpoints() error {
	if !m.newTable {
		return m.copyMap(mapEndpoints)
	}
	return m.intoTable(mapEndpoints, func(t *placeTable, key, value []byte) error {
		var k endpointKey
		var v endpointValue
		if _, err := binary.Decode(key, binary.NativeEndian, &k); err != nil {
			return err
		}
		if _, err := binary.Decode(value, binary.NativeEndian, &v); err != nil {
			return err
		}
		if _, found, err := t.lookupKey(k); err != nil || found {
			return err
		}
		return t.putKey(k, v)
	})
}

// intoTable calls put with the new table and each entry of an older map, converted.
func (m *migration) intoTable(name string, put func(t *placeTable, key, value []byte) error) error {
	old, err := sys.LoadPinnedMap(m.from.objectPath(name))
	if err != nil {
		return err
	}
	defer old.Close()
	places, err := sys.LoadPinnedMap(m.into.objectPath(mapPlaces))
	if err != nil {
		return err
	}
	defer places.Close()
	endpoints, err := sys.LoadPinnedMap(m.into.objectPath(mapEndpoints))
	if err != nil {
		return err
	}
	defer endpoints.Close()
	t := tableOf(places, endpoints)
	var key, value []byte
	entries := old.Iterate()
	for entries.Next(&key, &value) {
		if err := put(t, key, m.converts[name].convertValue(value)); err != nil {
			return err
		}
	}
	return entries.Err()
}

// makeKey returns the key of a place that has one.
func (p placeValue) makeKey() endpointKey {
	var word [8]byte
	binary.NativeEndian.PutUint64(word[:], p.Word)
	return endpointKey{MAC: [6]byte(word[:6]), VLAN: binary.NativeEndian.Uint16(word[6:]), IfIndex: p.IfIndex}
}
