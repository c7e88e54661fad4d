package cluster

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
)

// memory is a linearizable store in memory.
type memory struct {
	revision int64
	entries  map[string]Entry
	keys     []string   // sorted; nil after a change
	late     [][]Change // transactions that were given up but may still arrive
}

func newMemory() *memory { return &memory{revision: 1, entries: map[string]Entry{}} }

// List returns the entries in the order of the prefixes, as etcd does.
func (m *memory) List(_ context.Context, prefixes ...string) (Snapshot, error) {
	s := Snapshot{Revision: m.revision}
	if m.keys == nil {
		m.keys = slices.Sorted(maps.Keys(m.entries))
	}
	for _, p := range prefixes {
		from, _ := slices.BinarySearch(m.keys, p)
		for _, key := range m.keys[from:] {
			if !strings.HasPrefix(key, p) {
				break
			}
			s.Entries = append(s.Entries, m.entries[key])
		}
	}
	return s, nil
}

func (m *memory) Swap(_ context.Context, changes ...Change) (int64, error) {
	for _, c := range changes {
		if m.entries[c.Key].Revision != c.Was {
			return 0, ErrChanged
		}
	}
	m.revision, m.keys = m.revision+1, nil
	for _, c := range changes {
		switch c.Action {
		case Put:
			m.entries[c.Key] = Entry{c.Key, c.Value, m.revision}
		case Delete:
			delete(m.entries, c.Key)
		}
	}
	return m.revision, nil
}

func (m *memory) Watch(context.Context, string, int64, func(Update)) error { return ErrCompacted }

func (m *memory) Present(_ context.Context, key string, value []byte) error {
	m.revision, m.keys = m.revision+1, nil
	m.entries[key] = Entry{key, value, m.revision}
	return nil
}

// arrive lets one late transaction arrive.
func (m *memory) arrive(r *rand.Rand) {
	if len(m.late) == 0 {
		return
	}
	i := r.IntN(len(m.late))
	late := m.late[i]
	m.late = slices.Delete(m.late, i, i+1)
	m.Swap(context.Background(), late...)
}

// drop deletes a key as the end of its lease does.
func (m *memory) drop(key string) {
	m.keys = nil
	delete(m.entries, key)
}
