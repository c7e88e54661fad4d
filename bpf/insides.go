package bpf

import (
	"errors"
	"fmt"
	"io/fs"

	"berth/bpf/sys"
	"berth/specs"
)

// PutInside adds an interface to the map of the sibling program, which is on it or will be.
func (m *Maps) PutInside(e Endpoint) error {
	return m.putInside(e, insideMarks)
}

// putInside is PutInside for a sibling program that marks frames (insideMarks), or for one of an
// earlier version.
func (m *Maps) putInside(e Endpoint, marks uint8) error {
	mode := e.Mode
	if e.Apart {
		mode = specs.ModePrivate
	}
	number, err := modeNumber(mode)
	if err != nil {
		return err
	}
	value := insideValue{Slot: e.Slot, Parent: uint32(e.ParentIndex), Mode: number, Reserved: [3]uint8{marks}}
	return setUnlessEqual(m, mapInsides, insideKey{Cookie: e.Cookie, IfIndex: uint32(e.Index)}, value)
}

// noteInside records in the map insides that an interface has a program. For the programs on
// ingress it does so only without tcx: with tcx the pinned link is the record.
func (m *Maps) noteInside(o OwnProgram, e Endpoint) error {
	switch {
	case o == SiblingProgram:
		return m.PutInside(e)
	case sys.HasTCX():
		return nil
	}
	value := insideValue{Slot: e.Slot, Parent: uint32(e.ParentIndex)}
	return setUnlessEqual(m, mapInsides, insideOf(o, e).makeKey(), value)
}

// forgetInside undoes AttachInside. It deletes one key; [Maps.Insides] returns those of a
// process that was killed before it recorded the interface's index.
func (m *Maps) forgetInside(o OwnProgram, e Endpoint) error {
	err := detachLink(m.pins.insidePath(o, e.Slot))
	if e.Index == 0 {
		return err
	}
	return errors.Join(err, m.DropInside(insideOf(o, e)))
}

// Inside is an interface in the map of the sibling program.
type Inside struct {
	Slot    uint32
	Cookie  uint64 // of the interface's namespace
	Index   int    // of the interface in that namespace
	Ingress bool   // whether the entry records the program on ingress, which does not read it
}

func insideOf(o OwnProgram, e Endpoint) Inside {
	return Inside{Slot: e.Slot, Cookie: e.Cookie, Index: e.Index, Ingress: o.way == ingress}
}

func (i Inside) makeKey() insideKey {
	key := insideKey{Cookie: i.Cookie, IfIndex: uint32(i.Index), Program: programSibling}
	if i.Ingress {
		key.Program = programIngress
	}
	return key
}

// Insides returns every interface for which AttachInside was called and that was not
// deleted since. It reads the whole map, so no transaction may be open.
func (m *Maps) Insides() (all []Inside, err error) {
	one, err := m.openMap(mapInsides)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // an agent is pinning the first maps
	}
	if err != nil {
		return nil, err
	}
	var key insideKey
	var v insideValue
	entries := one.Iterate()
	for entries.Next(&key, &v) {
		all = append(all, Inside{
			Slot: v.Slot, Cookie: key.Cookie, Index: int(key.IfIndex), Ingress: key.Program == programIngress,
		})
	}
	if err := entries.Err(); err != nil {
		return nil, fmt.Errorf("list map %q: %w", mapInsides, err)
	}
	return all, nil
}

// DropInside deletes an interface from the map of the sibling program, unless it has
// another slot now.
func (m *Maps) DropInside(i Inside) error {
	return deleteIf(m, mapInsides, i.makeKey(), func(v insideValue) bool { return v.Slot == i.Slot })
}

// inside returns the value of an interface in the sibling program's map, or the zero value
// if it has none.
func (m *Maps) inside(i Inside) (v insideValue, err error) {
	one, err := m.openMap(mapInsides)
	if err != nil {
		return v, err
	}
	err = one.Lookup(i.makeKey(), &v)
	if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return v, fmt.Errorf("look up inside of interface %d: %w", i.Index, err)
	}
	return v, nil
}
