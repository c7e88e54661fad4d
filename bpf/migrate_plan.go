//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cilium/ebpf"
)

// prepareMigration compares the pinned maps, and their description, with the wanted ones, and
// sets the sizes in spec. If they differ, it also makes the directory of the new maps and pins
// the unchanged ones in it: step 1 of [migration], without the copying.
func prepareMigration(p pins, spec *ebpf.CollectionSpec, endpoints uint32) (*migration, error) {
	was, err := p.pinnedDescription()
	if err != nil {
		return nil, err
	}
	now, err := describeLayout(spec)
	if err != nil {
		return nil, err
	}
	m := &migration{from: p, into: p, now: now, converts: make(map[string]conversion)}
	m.unfinished = !isAbsent(p.objectPath(pinMigrating))
	sizes := mapSizes(endpoints)
	pinned := make(map[string]*ebpf.Map)
	defer closeAll(pinned)
	for name, want := range spec.Maps {
		if want.Pinning != ebpf.PinByName {
			continue
		}
		size, sized := sizes[name]
		if sized {
			want.MaxEntries = size
		}
		old, err := ebpf.LoadPinnedMap(p.objectPath(name), nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("open pinned map %q: %w", name, err)
		}
		pinned[name] = old
		if sized && (m.unfinished || old.MaxEntries() > want.MaxEntries) {
			want.MaxEntries = old.MaxEntries()
		}
		if err := m.planMap(name, old, want, was); err != nil {
			return nil, err
		}
	}
	return m, m.beginReplacement(was, pinned)
}

// planMap plans the conversion of one pinned map. It fails if its entries cannot be
// converted, or if a migration is unfinished and the map would need another one.
func (m *migration) planMap(name string, old *ebpf.Map, want *ebpf.MapSpec, was layoutDescription) error {
	c, same, err := conversionOf(name, old, want, was, m.now)
	if err != nil {
		return err
	}
	m.converts[name] = c
	if same {
		return nil
	}
	if m.unfinished {
		return fmt.Errorf("pinned map %q has changed again before it was taken over: %w", name, ebpf.ErrMapIncompatible)
	}
	m.into = m.from.nextDirectory()
	m.copies = append(m.copies, name)
	return nil
}

// beginReplacement prepares the directory of the new maps, or only describes the pinned maps
// if all of them stay. It does nothing if a migration is unfinished.
func (m *migration) beginReplacement(was layoutDescription, pinned map[string]*ebpf.Map) error {
	if m.unfinished {
		return nil
	}
	m.renewTable(pinned)
	m.renewCounts(pinned)
	if err := m.from.nextDirectory().removeAll(); err != nil { // from a process that was killed in step 1
		return err
	}
	if m.into == m.from {
		return m.from.describeOnce(was, m.now)
	}
	return m.pinUnchanged(pinned)
}

// renewCounts replaces the maps of counts too if any map is replaced: their content becomes
// the base of the new ones, so the new ones must not hold it as well.
func (m *migration) renewCounts(pinned map[string]*ebpf.Map) {
	for _, name := range []string{mapCounters, mapViolations} {
		if pinned[name] != nil && len(m.copies) > 0 && !slices.Contains(m.copies, name) {
			m.copies = append(m.copies, name)
		}
	}
}

// pinUnchanged pins the unchanged maps beside the new ones.
func (m *migration) pinUnchanged(all map[string]*ebpf.Map) error {
	if err := m.into.makeDirectories(); err != nil {
		return err
	}
	if err := m.into.describeIn(m.now); err != nil { // first, as a kill must not leave maps without it
		return err
	}
	for _, name := range m.copies {
		_ = all[name].Close()
		delete(all, name)
	}
	for name, one := range all {
		clone, err := one.Clone()
		if err == nil {
			err = errors.Join(clone.Pin(m.into.objectPath(name)), clone.Close())
		}
		if err != nil {
			return fmt.Errorf("keep pinned map %q: %w", name, err)
		}
	}
	return nil
}
