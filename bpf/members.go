//go:build !hook

package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/btf"
)

// member is a named place in a key or value of a map. Each element of an array of
// structures has its own members; an array of numbers is one member.
type member struct {
	Path   string // such as "is.slot" or "of[3].packets"; "" for a number without a structure
	Offset uint32
	Size   uint32
	Array  bool `json:",omitempty"` // may grow at its end
}

// membersOf returns the members of a type, ordered by offset.
func membersOf(t btf.Type) ([]member, error) {
	var all []member
	err := walkMembers(t, "", 0, &all)
	return all, err
}

func walkMembers(t btf.Type, path string, offset uint32, all *[]member) error {
	switch t := btf.UnderlyingType(t).(type) {
	case *btf.Struct:
		for _, m := range t.Members {
			if m.BitfieldSize != 0 {
				return fmt.Errorf("member %q of %q is a bit field, which no layout has", m.Name, t.Name)
			}
			inner := m.Name
			if path != "" {
				inner = path + "." + m.Name
			}
			if err := walkMembers(m.Type, inner, offset+m.Offset.Bytes(), all); err != nil {
				return err
			}
		}
		return nil
	case *btf.Array:
		if _, ok := btf.UnderlyingType(t.Type).(*btf.Struct); ok {
			return walkElements(t, path, offset, all)
		}
		return addMember(t, path, offset, true, all)
	default:
		return addMember(t, path, offset, false, all)
	}
}

func walkElements(t *btf.Array, path string, offset uint32, all *[]member) error {
	size, err := btf.Sizeof(t.Type)
	if err != nil {
		return err
	}
	for i := range t.Nelems {
		if err := walkMembers(t.Type, fmt.Sprintf("%s[%d]", path, i), offset+i*uint32(size), all); err != nil {
			return err
		}
	}
	return nil
}

func addMember(t btf.Type, path string, offset uint32, array bool, all *[]member) error {
	size, err := btf.Sizeof(t)
	if err != nil {
		return fmt.Errorf("member %q: %w", path, err)
	}
	*all = append(*all, member{Path: path, Offset: offset, Size: uint32(size), Array: array})
	return nil
}

// conversion converts values of an older layout to this one.
type conversion struct {
	size  int // of a value of this layout
	moves []move
}

type move struct{ from, to, size uint32 }

// convertMembers plans the conversion of values from old members to new ones: each member
// is copied to the one of the same name. New members are 0, and deleted ones are left out.
// It returns false if a member has shrunk, or its name has another kind of member.
func convertMembers(old, now []member, size int) (conversion, bool) {
	c, was := conversion{size: size}, make(map[string]member, len(old))
	for _, m := range old {
		was[m.Path] = m
	}
	for _, m := range now {
		o, ok := was[m.Path]
		switch {
		case !ok:
			continue
		case o.Size > m.Size || o.Array != m.Array:
			return c, false
		}
		to := m.Offset
		if !m.Array && bigEndian {
			to += m.Size - o.Size // the number has become wider
		}
		c.moves = append(c.moves, move{from: o.Offset, to: to, size: o.Size})
	}
	return c, true
}

var bigEndian = binary.NativeEndian.Uint16([]byte{0, 1}) == 1

// convertValue converts one value.
func (c conversion) convertValue(old []byte) []byte {
	fresh := make([]byte, c.size)
	for _, m := range c.moves {
		if int(m.from+m.size) <= len(old) {
			copy(fresh[m.to:], old[m.from:m.from+m.size])
		}
	}
	return fresh
}

// appendedConversion returns the conversion of values of an unknown layout, to which members may have
// been appended.
func appendedConversion(oldSize, size int) conversion {
	return conversion{size: size, moves: []move{{size: uint32(min(oldSize, size))}}}
}
