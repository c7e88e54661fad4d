//go:build !hook

package bpf

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// startDrops sets the keys by which the programs recognise copies of dropped group frames
// (c/copies.h), if they are not set yet: the programs of an earlier run use the same ones.
func (m *Maps) startDrops() error {
	one, err := m.openMap(mapDrops)
	if err != nil {
		return err
	}
	var v dropsValue
	if err := one.Lookup(uint32(0), &v); err != nil {
		return fmt.Errorf("look up in map %q: %w", mapDrops, err)
	}
	if v.Keys != [3]uint64{} {
		return nil
	}
	var random [24]byte
	_, _ = rand.Read(random[:]) // it never fails
	for i := range v.Keys {
		v.Keys[i] = binary.NativeEndian.Uint64(random[8*i:])
	}
	if err := one.Put(uint32(0), v); err != nil {
		return fmt.Errorf("put into map %q: %w", mapDrops, err)
	}
	return nil
}
