package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keyError is an error of a key. It also is the errno.
type keyError struct {
	text  string
	errno unix.Errno
}

func (e *keyError) Error() string { return e.text }
func (e *keyError) Unwrap() error { return e.errno }

// Errors of keys.
var (
	ErrKeyNotExist error = &keyError{"key does not exist", unix.ENOENT}
	ErrKeyExist    error = &keyError{"key already exists", unix.EEXIST}
)

// explain returns the error of a call on a map.
func explain(what string, err error) error {
	switch err {
	case nil:
		return nil
	case unix.ENOENT:
		err = ErrKeyNotExist
	case unix.EEXIST:
		err = ErrKeyExist
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Map is a map. Keys and values are passed as [Map.Lookup] describes.
type Map struct {
	object
	info mapInfo
}

// mapInfo is the start of struct bpf_map_info.
type mapInfo struct{ kind, id, key, value, entries uint32 }

// LoadPinnedMap opens a pinned map. The error wraps fs.ErrNotExist if there is none.
func LoadPinnedMap(path string) (*Map, error) {
	fd, err := openPinned(path)
	if err != nil {
		return nil, err
	}
	return newMap(fd)
}

// CloneMap returns the map of a file descriptor, with one of its own.
func CloneMap(fd int) (*Map, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("clone map: %w", err)
	}
	return newMap(own)
}

func newMap(fd int) (*Map, error) {
	m := &Map{object: object{fd}}
	if err := readInfo(fd, &m.info); err != nil {
		_ = m.close() // the error has the cause
		return nil, err
	}
	return m, nil
}

// MapSpec describes a map to create.
type MapSpec struct {
	Name                        string // at most 15 bytes
	Type                        uint32 // unix.BPF_MAP_TYPE_ARRAY, for instance
	KeySize, ValueSize, Entries uint32
	Flags                       uint32
}

type mapAttr struct {
	kind, key, value, entries, flags uint32
	_, _                             uint32 // the inner map, the NUMA node
	name                             [unix.BPF_OBJ_NAME_LEN]byte
}

// CreateMap creates a map.
func CreateMap(s MapSpec) (*Map, error) {
	attr := mapAttr{kind: s.Type, key: s.KeySize, value: s.ValueSize, entries: s.Entries, flags: s.Flags}
	copy(attr.name[:unix.BPF_OBJ_NAME_LEN-1], s.Name)
	fd, err := openObject(unix.BPF_MAP_CREATE, &attr)
	if err != nil {
		return nil, fmt.Errorf("create map: %w", err)
	}
	return newMap(fd)
}

// ID returns the kernel's id of the map.
func (m *Map) ID() uint32 { return m.info.id }

// MaxEntries returns the largest number of elements.
func (m *Map) MaxEntries() uint32 { return m.info.entries }

// ValueSize returns the size of a value in bytes: of one processor's, if each has its own.
func (m *Map) ValueSize() uint32 { return m.info.value }

// Pin pins the map.
func (m *Map) Pin(path string) error { return Pin(m.fd, path) }

// Close closes the file descriptor.
func (m *Map) Close() error { return m.close() }

type elementAttr struct {
	fd    uint32
	_     uint32
	key   pointer
	value pointer // or the next key
	flags uint64
}

// Lookup reads the value of a key into *value.
//
// A key is a number or a structure without padding, or a pointer to one. A value to read
// is a pointer to one, or to a slice of bytes. A map with a value for each processor has
// slices of them, whose elements have a multiple of 8 bytes. The error wraps
// [ErrKeyNotExist] if there is no such key.
func (m *Map) Lookup(key, value any) error {
	k, err := m.keyMemory(key)
	if err != nil {
		return err
	}
	v, err := m.resultMemory(value)
	if err != nil {
		return err
	}
	_, err = bpfCall(unix.BPF_MAP_LOOKUP_ELEM, &elementAttr{fd: uint32(m.fd), key: k, value: v})
	return explain("lookup", err)
}

// Put sets the value of a key.
func (m *Map) Put(key, value any) error { return m.Update(key, value, unix.BPF_ANY) }

// Update sets the value of a key with flags: unix.BPF_ANY, BPF_NOEXIST or BPF_EXIST. The
// error wraps [ErrKeyExist] or [ErrKeyNotExist] if they forbid it.
func (m *Map) Update(key, value any, flags uint64) error {
	k, err := m.keyMemory(key)
	if err != nil {
		return err
	}
	v, err := memoryOf(value, m.wholeValue())
	if err != nil {
		return fmt.Errorf("value: %w", err)
	}
	_, err = bpfCall(unix.BPF_MAP_UPDATE_ELEM, &elementAttr{fd: uint32(m.fd), key: k, value: v, flags: flags})
	return explain("update", err)
}

// Delete deletes a key. The error wraps [ErrKeyNotExist] if there is none.
func (m *Map) Delete(key any) error {
	k, err := m.keyMemory(key)
	if err != nil {
		return err
	}
	_, err = bpfCall(unix.BPF_MAP_DELETE_ELEM, &elementAttr{fd: uint32(m.fd), key: k})
	return explain("delete", err)
}

// NextKey reads the key after a key into *next, or the first one if key is nil. The error
// wraps [ErrKeyNotExist] after the last key.
func (m *Map) NextKey(key, next any) error {
	attr := elementAttr{fd: uint32(m.fd)}
	var err error
	if key != nil {
		if attr.key, err = m.keyMemory(key); err != nil {
			return err
		}
	}
	if attr.value, err = m.keyMemory(next); err != nil {
		return err
	}
	_, err = bpfCall(unix.BPF_MAP_GET_NEXT_KEY, &attr)
	return explain("next key", err)
}
