//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// migration replaces pinned maps with ones of another shape:
//
//  1. New maps are created and pinned in a directory beside (into); unchanged maps
//     are pinned there too. Entries are copied, each member of a value to the
//     one of the same name (described.go).
//  2. The two directories exchange their names, in one step.
//  3. All links and filters get programs that count into the new maps.
//  4. When no old program runs any more, the old counts are written to the
//     base of the new ones, and the old counters are unpinned.
//
// If the process is killed before step 2, nothing has changed; after it, the next Load does
// steps 3 and 4 (again). To repeat them gives the same result, as no slot is drained in between
// ([Maps.LacksCounts]).
type migration struct {
	from, into pins     // equal if nothing is to be done
	copies     []string // maps whose entries are copied
	converts   map[string]conversion
	newTable   bool // whether the table of MACs is a new one
	unfinished bool // whether a killed process has left steps 3 and 4
	now        layoutDescription
}

// adoptVersion renames the maps of another version to this one: their layout is then migrated as
// any other.
func (p pins) adoptVersion() error {
	if _, err := os.Stat(p.dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	files, err := os.ReadDir(filepath.Dir(p.dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list pinned layouts: %w", err)
	}
	for _, f := range files {
		if n, err := strconv.Atoi(strings.TrimPrefix(f.Name(), "v")); err != nil || f.Name() != "v"+strconv.Itoa(n) {
			continue
		}
		if err := os.Rename(filepath.Join(filepath.Dir(p.dir), f.Name()), p.dir); err != nil {
			return fmt.Errorf("adopt pinned layout %q: %w", f.Name(), err)
		}
		return nil
	}
	return nil
}

// replaceMaps does the rest of step 1, and step 2.
func (m *migration) replaceMaps() error {
	if m.into == m.from {
		return nil
	}
	unlock, err := m.from.lockDirectory() // no hook writes to the old maps from here on
	if err != nil {
		return err
	}
	defer unlock.Close()
	if err := m.copyAll(); err != nil {
		return err
	}
	mark, err := ebpf.NewMap(&ebpf.MapSpec{Name: pinMigrating, Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err == nil {
		err = errors.Join(mark.Pin(m.into.objectPath(pinMigrating)), mark.Close())
	}
	if err == nil {
		err = unix.Renameat2(unix.AT_FDCWD, m.into.dir, unix.AT_FDCWD, m.from.dir, unix.RENAME_EXCHANGE)
	}
	if err != nil {
		return fmt.Errorf("replace pinned maps: %w", err)
	}
	return nil
}

func (m *migration) copyAll() error {
	for _, name := range m.copies {
		var err error
		switch name {
		case mapCounters, mapViolations, mapEvents: // step 4 takes those over; events are not kept
		case mapPlaces:
			err = m.copyPlaces()
		case mapEndpoints:
			err = m.copyEndpoints()
		default:
			err = m.copyMap(name)
		}
		if err != nil {
			return fmt.Errorf("copy pinned map %q: %w", name, err)
		}
	}
	return nil
}

func (m *migration) copyMap(name string) error {
	old, err := ebpf.LoadPinnedMap(m.from.objectPath(name), nil)
	if err != nil {
		return err
	}
	defer old.Close()
	fresh, err := ebpf.LoadPinnedMap(m.into.objectPath(name), nil)
	if err != nil {
		return err
	}
	defer fresh.Close()
	var key, value []byte
	entries := old.Iterate()
	for entries.Next(&key, &value) {
		if err := fresh.Put(key, m.converts[name].convertValue(value)); err != nil {
			return err
		}
	}
	return entries.Err()
}

// takeOver does steps 3 and 4, if they are still to be done.
func (d *Datapath) takeOver() error {
	if _, err := os.Stat(d.pins.objectPath(pinMigrating)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := d.swapPrograms(); err != nil {
		return fmt.Errorf("swap programs for new maps: %w", err)
	}
	if err := waitForPrograms(); err != nil {
		return fmt.Errorf("wait for the programs of the old maps: %w", err)
	}
	old := d.pins.nextDirectory()
	if err := d.maps.addBase(old); err != nil {
		return fmt.Errorf("take counts over: %w", err)
	}
	if err := removePin(old.objectPath(mapCounters)); err != nil { // they are taken over now
		return err
	}
	if err := old.removeAll(); err != nil {
		return err
	}
	return removePin(d.pins.objectPath(pinMigrating))
}

// waitForPrograms returns when every program that was running when it was called has
// finished. An update of a map of maps waits for that (kernel/bpf/syscall.c,
// maybe_wait_bpf_programs: synchronize_rcu). So would membarrier(2), but it fails on
// kernels with nohz_full.
func waitForPrograms() error {
	inner := &ebpf.MapSpec{Name: "inner", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1}
	one, err := ebpf.NewMap(inner)
	if err != nil {
		return err
	}
	defer one.Close()
	outer, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "outer", Type: ebpf.ArrayOfMaps, KeySize: 4, ValueSize: 4, MaxEntries: 1, InnerMap: inner,
	})
	if err != nil {
		return err
	}
	defer outer.Close()
	return outer.Put(uint32(0), one)
}

// swapPrograms moves the links of the old directory to this one, each with a new program, and
// replaces the programs of filters.
func (d *Datapath) swapPrograms() error {
	files, err := os.ReadDir(d.pins.nextDirectory().linksDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list pinned links: %w", err)
	}
	for _, f := range files {
		if err := d.swapLink(f.Name()); err != nil {
			return fmt.Errorf("pinned link %q: %w", f.Name(), err)
		}
	}
	indices, err := d.knownParents()
	if err != nil {
		return err
	}
	for _, ifindex := range indices {
		_, _, err := d.inspectClsact(ifindex)
		if err == nil {
			err = d.maps.withLock(func() error { return d.attachClsact(ifindex) })
		}
		if err != nil && !errors.Is(err, errNotOn) { // sweep removes incomplete ones
			return err
		}
	}
	return nil
}

// removeAll deletes a directory and all pins in it.
func (p pins) removeAll() error {
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove pinned objects: %w", err)
	}
	return nil
}

func closeAll(all map[string]*ebpf.Map) {
	for _, one := range all {
		_ = one.Close()
	}
}
