//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cilium/ebpf"

	"berth/bpf/sys"
)

// pinnedPrograms returns the programs to pin now. Those of a parent are pinned only while the
// agent attaches to parents, as hooks attach the pinned ones.
func (d *Datapath) pinnedPrograms() map[string]program {
	all := map[string]program{pinSibling: d.sibling, pinReceiver: d.receiver, pinGuard: d.guard, pinShim: d.shim}
	if !d.withheld {
		all[pinIngress], all[pinEgress] = d.ingress, d.egress
	}
	return all
}

// Repin pins the maps and the programs for hooks again, with their content, if they were
// removed from the directory since Load or replaced there; it reports whether any was missing.
// Attach pins links again whose pin was removed. The caller then
// registers all endpoints again, as after Load. The error wraps [ErrNotBPFFS] if the file system was unmounted.
func (d *Datapath) Repin() (missing bool, err error) {
	if err := d.pins.makeDirectories(); err != nil {
		return false, err
	}
	missing, err = d.maps.repinMissing()
	if err != nil {
		return missing, err
	}
	for name, p := range d.pinnedPrograms() {
		if isProgram(p, d.pins.programID(name)) {
			continue
		}
		missing = true
		if err := d.pinProgram(name, p); err != nil {
			return missing, err
		}
	}
	return missing, nil
}

// pinPrograms pins the programs for hooks.
func (d *Datapath) pinPrograms() error {
	for name, p := range d.pinnedPrograms() {
		if err := d.pinProgram(name, p); err != nil {
			return err
		}
	}
	return nil
}

// pinProgram pins a program for hooks, and replaces an earlier pin. Pinned names have no
// dots.
func (d *Datapath) pinProgram(name string, p program) error {
	return d.pins.replacePin(name, func(path string) error { return sys.Pin(p.FD(), path) })
}

// replacePin pins an object in place of another, in one step.
func (p pins) replacePin(name string, pin func(string) error) error {
	fresh := p.objectPath(name + "-new")
	err := os.Remove(fresh)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = pin(fresh)
	}
	if err == nil {
		err = os.Rename(fresh, p.objectPath(name))
	}
	if err != nil {
		return fmt.Errorf("pin %q: %w", name, err)
	}
	return nil
}

// programID returns the id of a pinned program, or 0 if none is pinned.
func (p pins) programID(name string) uint32 {
	one, err := sys.LoadPinnedProgram(p.objectPath(name))
	if err != nil {
		return 0
	}
	defer one.Close()
	id, err := sys.ProgramID(one.FD())
	if err != nil {
		return 0
	}
	return id
}

// repinMissing pins each map that is not pinned, and reports whether any was missing. The map
// endpoints is the last, because a hook opens it to find out whether there are maps.
func (m *Maps) repinMissing() (missing bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	pin := func(name string, one *sys.Map) error {
		if m.pins.isMap(name, one) {
			return nil
		}
		missing = true
		return m.pins.replacePin(name, one.Pin)
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

// isMap reports whether the object pinned under a name is map m.
func (p pins) isMap(name string, m *sys.Map) bool {
	pinned, err := sys.LoadPinnedMap(p.objectPath(name))
	if err != nil {
		return false
	}
	defer pinned.Close()
	return pinned.ID() == m.ID()
}

// Missing returns the names of the objects of a complete layout that are not pinned under
// bpffs, sorted. It returns none if nothing is pinned, as before the first agent and after
// a purge. It leaves out the programs of parents, which are pinned only while the agent attaches.
func Missing(bpffs string) (names []string, err error) {
	p := pinsUnder(bpffs)
	if isAbsent(p.dir) {
		return nil, nil
	}
	spec, err := loadDatapath()
	if err != nil {
		return nil, fmt.Errorf("read datapath object: %w", err)
	}
	want := []string{pinSibling, pinReceiver, pinGuard, pinShim}
	for name, m := range spec.Maps {
		if m.Pinning == ebpf.PinByName {
			want = append(want, name)
		}
	}
	for _, name := range want {
		if isAbsent(p.objectPath(name)) {
			names = append(names, name)
		}
	}
	half, err := p.halfLinked()
	names = append(names, half...)
	slices.Sort(names)
	return names, err
}

// halfLinked returns the missing link of each parent that has only one of the two.
func (p pins) halfLinked() (names []string, err error) {
	indices, err := p.linkedParents()
	if err != nil {
		return nil, err
	}
	for _, ifindex := range indices {
		for _, w := range ways {
			if path := p.linkPath(ifindex, w); isAbsent(path) {
				names = append(names, strings.TrimPrefix(path, p.dir+"/"))
			}
		}
	}
	return names, nil
}

// Directories returns the directories with pins under bpffs: a change of their entries may be
// the loss of a pin.
func Directories(bpffs string) []string {
	p := pinsUnder(bpffs)
	return []string{p.dir, p.linksDir()}
}
