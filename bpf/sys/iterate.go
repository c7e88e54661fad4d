package sys

import (
	"errors"
	"fmt"
	"reflect"

	"golang.org/x/sys/unix"
)

// ErrAborted is returned by [Entries.Err] if other processes deleted so many keys meanwhile
// that the iteration began again too often.
var ErrAborted = errors.New("iteration aborted: keys are deleted at the same time")

// Entries iterates over the keys and values of a map.
type Entries struct {
	of    *Map
	last  []byte // nil before the first key
	count uint32
	err   error
}

// Iterate returns an iteration from the first key on. It may return a key twice, or skip one, if
// others change the map meanwhile.
func (m *Map) Iterate() *Entries { return &Entries{of: m} }

// Next reads the next key and its value, as Lookup does; both are pointers. It returns
// false after the last key and after an error.
func (e *Entries) Next(key, value any) bool {
	for e.err == nil && e.count <= e.of.MaxEntries() {
		next := make([]byte, e.of.info.key)
		var last any
		if e.last != nil {
			last = e.last
		}
		if e.err = e.of.NextKey(last, next); e.err != nil {
			break
		}
		e.count, e.last = e.count+1, next
		err := e.of.Lookup(next, value)
		if errors.Is(err, ErrKeyNotExist) {
			continue // it was deleted meanwhile
		}
		e.err = err
		return err == nil && e.setKey(key, next)
	}
	if e.err == nil {
		e.err = ErrAborted
	}
	return false
}

// setKey copies a key into *key.
func (e *Entries) setKey(key any, from []byte) bool {
	v := reflect.ValueOf(key)
	if v.Kind() == reflect.Pointer && v.Elem().Kind() == reflect.Slice {
		v.Elem().SetBytes(from)
		return true
	}
	p, err := e.of.keyMemory(key)
	if e.err = err; err != nil {
		return false
	}
	copy(bytesAt(p, len(from)), from)
	return true
}

// Err returns the error that ended the iteration, or nil after the last key.
func (e *Entries) Err() error {
	if errors.Is(e.err, ErrKeyNotExist) {
		return nil
	}
	return e.err
}

type batchAttr struct {
	in, out      pointer
	keys, values pointer
	count, fd    uint32
	_, _         uint64 // flags
}

// Cursor is the place in a map at which the next batch begins. The zero value is the start.
type Cursor struct{ opaque []byte }

// BatchLookup reads as many elements as the slices keys and values have room for, and returns
// their number. A map with a value for each processor has as many values for each key. The
// error wraps [ErrKeyNotExist] with the last elements.
func (m *Map) BatchLookup(c *Cursor, keys, values any) (int, error) {
	count := reflect.ValueOf(keys).Len()
	k, err := memoryOf(keys, count*int(m.info.key))
	if err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	v, err := memoryOf(values, count*m.wholeValue())
	if err != nil {
		return 0, fmt.Errorf("values: %w", err)
	}
	attr := batchAttr{keys: k, values: v, count: uint32(count), fd: uint32(m.fd)}
	if c.opaque == nil {
		c.opaque = make([]byte, max(4, m.info.key)) // the cursor of a hash map is the number of a bucket, in 4 bytes
	} else {
		attr.in = pointer(&c.opaque[0])
	}
	attr.out = pointer(&c.opaque[0])
	_, err = bpfCall(unix.BPF_MAP_LOOKUP_BATCH, &attr)
	return int(attr.count), explain("batch lookup", err)
}
