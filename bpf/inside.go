package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/bpf/sys"
	"berth/specs"
)

// The sibling program and the guard program, by their names in the object file.
const (
	progSibling = "berth_sibling"
	progGuard   = "berth_guard"
)

// OwnProgram is a program on an endpoint's own interface.
type OwnProgram struct {
	pin    string // its name for hooks
	prefix string // of the names of its pinned links; the slot follows
	way    direction
}

// The programs on an endpoint's own interface.
var (
	// SiblingProgram counts and judges frames between ipvlan siblings, which do not pass the
	// parent. On macvlan in mode bridge it drops group frames that break an enforced rule,
	// before siblings get their copies.
	SiblingProgram = OwnProgram{pin: pinSibling, prefix: "inside-", way: egress}

	// ReceiverProgram drops, on macvlan in mode bridge, the copies of group frames that the
	// parent's program has dropped: a sibling may send past its own sibling program.
	ReceiverProgram = OwnProgram{pin: pinReceiver, prefix: "receiver-", way: ingress}

	// GuardProgram judges, on ipvlan, frames that a sibling has sent past its own sibling
	// program (c/guard.h).
	GuardProgram = OwnProgram{pin: pinGuard, prefix: "guard-", way: ingress}

	// shimProgram marks the frames of an ipvlan interface of the host, for the guard programs.
	shimProgram = OwnProgram{pin: pinShim, prefix: "shim-", way: egress}
)

// ownPrograms are those of endpoints: at most one on egress and one on ingress of each.
var ownPrograms = []OwnProgram{SiblingProgram, ReceiverProgram, GuardProgram}

// String returns the term for the program.
func (o OwnProgram) String() string { return o.pin + " program" }

// linkOf returns the program of the pinned link with this name; ok is false if it is a parent's.
func linkOf(name string) (o OwnProgram, ok bool) {
	for _, o := range append(ownPrograms, shimProgram) {
		if strings.HasPrefix(name, o.prefix) {
			return o, true
		}
	}
	return OwnProgram{}, false
}

func (d *Datapath) programOf(o OwnProgram) program {
	switch o {
	case ReceiverProgram:
		return d.receiver
	case GuardProgram:
		return d.guard
	case shimProgram:
		return d.shim
	}
	return d.sibling
}

func (p pins) insidePath(o OwnProgram, slot uint32) string {
	return filepath.Join(p.linksDir(), fmt.Sprintf("%s%d", o.prefix, slot))
}

// GroupKinds returns those kinds whose group frames the sibling program drops on a macvlan
// interface in mode bridge: the driver gives siblings their copies before the parent's
// programs see the frame (macvlan_queue_xmit in drivers/net/macvlan.c).
func GroupKinds() []specs.Kind {
	return []specs.Kind{specs.MACSpoof, specs.IPSpoof, specs.HostIsolation, specs.RogueDHCP, specs.RogueRA}
}

// mayHaveOwnPrograms reports whether an endpoint may have programs on its own interface.
func (e Endpoint) mayHaveOwnPrograms() bool {
	return e.Driver == specs.IPvlan || e.Mode == specs.ModeBridge
}

// eachInside calls fn for each pinned link of a program on an endpoint's own interface.
func (p pins) eachInside(fn func(o OwnProgram, path string, l *sys.Link) error) error {
	files, err := os.ReadDir(p.linksDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list pinned links: %w", err)
	}
	var errs []error
	for _, f := range files {
		o, ok := linkOf(f.Name())
		if !ok {
			continue
		}
		path := filepath.Join(p.linksDir(), f.Name())
		l, err := sys.LoadPinnedLink(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // released since
		}
		if err == nil {
			err = errors.Join(fn(o, path, l), l.Close())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("pinned link %q: %w", f.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func (p pins) detachInsides() error {
	return p.eachInside(func(_ OwnProgram, path string, l *sys.Link) error {
		return errors.Join(l.Detach(), removePin(path))
	})
}

// AttachInside attaches a program to an endpoint's own interface. It is called in the
// namespace of the interface (Endpoint.Index), before the interface is up; Unregister undoes
// it. It does nothing if no agent has pinned the program.
//
// Without tcx the program is attached as a clsact filter. It is never replaced: until the
// interface is deleted it uses the maps that existed when it was attached.
func (m *Maps) AttachInside(o OwnProgram, e Endpoint) error {
	p, err := sys.LoadPinnedProgram(m.pins.objectPath(o.pin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open pinned program %q: %w", o.pin, err)
	}
	defer p.Close()
	if err := m.noteInside(o, e); err != nil {
		return err
	}
	err = m.linkInside(o, p, e)
	if errors.Is(err, sys.ErrNotSupported) {
		err = filterInside(o, p, e.Index)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("attach the %s to interface %d: %w", o, e.Index, err), m.forgetInside(o, e))
	}
	return nil
}

func (m *Maps) linkInside(o OwnProgram, p program, e Endpoint) error {
	if err := detachLink(m.pins.insidePath(o, e.Slot)); err != nil {
		return err
	}
	l, err := attachFirst(p, e.Index, o.way.tcxAttachType())
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(m.pins.insidePath(o, e.Slot)); err != nil {
		return fmt.Errorf("pin link: %w", err)
	}
	return nil
}

// LinkedInsides returns a function that reports whether a program was on the interface of a
// slot when LinkedInsides was called: its link is pinned, and attached. It is always true on a
// kernel without tcx.
func (d *Datapath) LinkedInsides() func(o OwnProgram, slot uint32) bool {
	if !sys.HasTCX() {
		return func(OwnProgram, uint32) bool { return true }
	}
	linked := make(map[string]bool)
	_ = d.pins.eachInside(func(_ OwnProgram, path string, l *sys.Link) error { // an unreadable link counts as missing
		linked[path] = insideIndex(l) != 0
		return nil
	})
	return func(o OwnProgram, slot uint32) bool { return linked[d.pins.insidePath(o, slot)] }
}

// insideIndex returns the index of the interface that a link is on, or 0 if it was detached.
func insideIndex(l *sys.Link) int {
	info, ok, err := l.Info()
	if err != nil || !ok {
		return 0
	}
	return int(info.IfIndex)
}

// MissesInside reports whether AttachInside is due for an endpoint: it was not called since
// the maps were created, or its program was removed from the interface. It is false if no
// agent has pinned the program.
func (m *Maps) MissesInside(o OwnProgram, e Endpoint) (bool, error) {
	if is, err := m.isPinned(o); err != nil || !is {
		return false, err
	}
	tcx := sys.HasTCX()
	if o == SiblingProgram || !tcx {
		v, err := m.inside(insideOf(o, e))
		if err != nil || v.Slot != e.Slot {
			return err == nil, err
		}
		if !tcx && o == SiblingProgram && e.Driver == specs.IPvlan && !v.marks() {
			return true, nil // of an earlier version
		}
	}
	if !tcx {
		return false, nil
	}
	l, err := sys.LoadPinnedLink(m.pins.insidePath(o, e.Slot))
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("pinned link of slot %d: %w", e.Slot, err)
	}
	defer l.Close()
	return insideIndex(l) != e.Index, nil
}

func (m *Maps) isPinned(o OwnProgram) (bool, error) {
	_, err := os.Stat(m.pins.objectPath(o.pin))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("pinned program %q: %w", o.pin, err)
	}
	return true, nil
}
