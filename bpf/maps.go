package bpf

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"berth/bpf/sys"
	"berth/specs"
)

// Maps are the pinned maps. Each is opened at its first use. The methods may be called
// concurrently, and by several processes.
type Maps struct {
	pins pins

	noBase atomic.Bool  // true if no map "base" was pinned when this process tried to open it
	writes atomic.Int64 // elements written
	adding sync.Mutex   // held while userspace adds violations

	// CookieOf calls searchOwner, which is nil if the maps are not a Datapath's.
	searchOwner func(parentIndex int, mac specs.MAC) (uint64, error)

	mu        sync.Mutex
	open      map[string]*sys.Map
	directory uint64 // inode of the directory when the first map was opened
	owned     bool   // whether the agent owns them: its programs use these maps, wherever they are pinned
}

// Open returns the maps pinned under bpffs. The error wraps fs.ErrNotExist if no agent ever
// pinned any, and [ErrUnsafe] if another user could have.
func Open(bpffs string) (*Maps, error) {
	if err := pinsUnder(bpffs).checkDirectories(); err != nil {
		return nil, err
	}
	m := &Maps{pins: pinsUnder(bpffs), open: make(map[string]*sys.Map)}
	if _, err := m.openMap(mapEndpoints); err != nil {
		return nil, err
	}
	return m, nil
}

// Close closes the maps; they stay pinned.
func (m *Maps) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, one := range m.open {
		errs = append(errs, one.Close())
	}
	clear(m.open)
	return errors.Join(errs...)
}

// Slots returns the number of counter slots, of which 1 to Slots()-1 can be used. It
// returns 0 if the map cannot be opened.
func (m *Maps) Slots() uint32 {
	counters, err := m.openMap(mapCounters)
	if err != nil {
		return 0
	}
	return counters.MaxEntries()
}

func (m *Maps) openMap(name string) (*sys.Map, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if one, ok := m.open[name]; ok {
		return one, nil
	}
	if m.directory == 0 {
		m.directory = m.pins.inode()
	}
	one, err := sys.LoadPinnedMap(m.pins.objectPath(name))
	if err != nil {
		return nil, fmt.Errorf("open pinned map %q: %w", name, err)
	}
	m.open[name] = one
	return one, nil
}

// openRest opens the existing maps that no program uses, so that they can be pinned again.
func (m *Maps) openRest() error {
	_, base := m.openBase()
	_, found := m.openFound()
	_, layout := m.openMap(pinLayout)
	return errors.Join(base, found, layout)
}

// reopenReplaced closes maps that an agent has replaced since they were opened, so that nothing is
// written to the old ones. A method that writes calls it first.
func (m *Maps) reopenReplaced() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.pins.inode()
	if m.owned || now == 0 || m.directory == 0 || now == m.directory {
		return nil
	}
	var errs []error
	for _, one := range m.open {
		errs = append(errs, one.Close())
	}
	clear(m.open)
	m.directory = 0
	m.noBase.Store(false)
	return errors.Join(errs...)
}

// setUnlessEqual sets a key unless it has the value already: the kernel may reuse the memory of a
// replaced element at once, while a program that was held up between look-up and use still
// reads it (kernel/bpf/hashtab.c).
func setUnlessEqual[V comparable](m *Maps, name string, key any, value V) error {
	one, err := m.openMap(name)
	if err != nil {
		return err
	}
	var now V
	err = one.Lookup(key, &now)
	switch {
	case err == nil && now == value:
		return nil
	case err != nil && !errors.Is(err, sys.ErrKeyNotExist):
		return fmt.Errorf("look up in map %q: %w", name, err)
	}
	return m.putElement(name, key, value)
}

// markExpected marks the filter's element of a registered key, for programs of an earlier
// release. It keeps the datapath's own notes in it.
func (m *Maps) markExpected(k endpointKey) error {
	one, err := m.openMap(mapFilter)
	if err != nil {
		return err
	}
	var v filterValue
	if err := one.Lookup(k.filterIndex(), &v); err != nil {
		return fmt.Errorf("look up in map %q: %w", mapFilter, err)
	}
	if v.Endpoint == 1 {
		return nil
	}
	v.Endpoint = 1
	return m.putElement(mapFilter, k.filterIndex(), v)
}

// putElement sets a key, and overwrites its value.
func (m *Maps) putElement(name string, key, value any) error {
	one, err := m.openMap(name)
	if err != nil {
		return err
	}
	if err := one.Put(key, value); err != nil {
		return fmt.Errorf("put into map %q: %w", name, err)
	}
	m.writes.Add(1)
	return nil
}

// deleteIf deletes a key if want returns true for its value; a missing key is no error.
// Only the owner of the slot could set the key between look-up and deletion.
func deleteIf[V any](m *Maps, name string, key any, want func(V) bool) error {
	one, err := m.openMap(name)
	if err != nil {
		return err
	}
	var value V
	err = one.Lookup(key, &value)
	if err == nil && want(value) {
		err = one.Delete(key)
	}
	if err != nil && !errors.Is(err, sys.ErrKeyNotExist) {
		return fmt.Errorf("delete from map %q: %w", name, err)
	}
	return nil
}
