package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/cilium/ebpf"
)

// Repin pins again, with what they hold, the maps that somebody has removed
// from the folder since Load, and the program for hooks; it reports whether any
// was missing. Links that were removed are gone, and are made by Attach;
// endpoints are to be registered anew, as after Load. The error wraps
// [ErrNotBPFFS] when the file system has been unmounted.
func (d *Datapath) Repin() (missing bool, err error) {
	if err := d.pins.make(); err != nil {
		return false, err
	}
	missing, err = d.maps.repin()
	if err != nil || !absent(d.pins.object(pinSibling)) {
		return missing, err
	}
	return true, d.pinSibling()
}

// repin pins the endpoints last: by them a hook sees whether there are maps.
func (m *Maps) repin() (missing bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pin := func(name string, one *ebpf.Map) error {
		path := m.pins.object(name)
		if !absent(path) {
			return nil
		}
		missing = true
		clone, err := one.Clone() // which, unlike the map, does not count as pinned
		if err != nil {
			return fmt.Errorf("pin map %q again: %w", name, err)
		}
		return errors.Join(clone.Pin(path), clone.Close())
	}
	var errs []error
	for name, one := range m.open {
		if name != mapEndpoints {
			errs = append(errs, pin(name, one))
		}
	}
	errs = append(errs, pin(mapEndpoints, m.open[mapEndpoints]))
	return missing, errors.Join(errs...)
}

func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
