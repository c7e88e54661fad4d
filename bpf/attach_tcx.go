package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"berth/bpf/sys"
)

func (w direction) tcxAttachType() sys.AttachType {
	if w == ingress {
		return sys.Ingress
	}
	return sys.Egress
}

// attachTCX creates or updates the two pinned links of a parent.
func (d *Datapath) attachTCX(ifindex int) error {
	for _, w := range ways {
		ok, err := d.updateTCX(ifindex, w)
		if err == nil && !ok {
			err = d.linkTCX(ifindex, w)
		}
		if err != nil {
			return fmt.Errorf("tcx %s: %w", w, err)
		}
	}
	return nil
}

// updateTCX replaces the program of a link that is attached to the interface, and pins the
// link again if its pin was removed. It returns false if there is no such link.
func (d *Datapath) updateTCX(ifindex int, w direction) (bool, error) {
	path := d.pins.linkPath(ifindex, w)
	l, err := sys.LoadPinnedLink(path)
	if errors.Is(err, fs.ErrNotExist) {
		if l, err = d.pinHeld(ifindex, w); l == nil && err == nil {
			l, err = d.pins.adoptLink(ifindex, w)
		}
		if l == nil {
			return false, err
		}
	} else if err != nil {
		return false, fmt.Errorf("open pinned link: %w", err)
	}
	if linkOn(l, ifindex) {
		err = l.Update(d.programFor(w).FD())
		if err == nil {
			d.holdLink(ifindex, w, l)
			return true, nil
		}
	}
	if err != nil && !errors.Is(err, unix.ENOLINK) { // the interface has just gone
		return false, errors.Join(fmt.Errorf("update pinned link: %w", err), l.Close())
	}
	return false, errors.Join(l.Close(), removePin(path))
}

// linkTCX creates a link ahead of all others, and pins it.
func (d *Datapath) linkTCX(ifindex int, w direction) error {
	l, err := attachFirst(d.programFor(w), ifindex, w.tcxAttachType())
	if err != nil {
		return err
	}
	if err := l.Pin(d.pins.linkPath(ifindex, w)); err != nil {
		return errors.Join(fmt.Errorf("pin link: %w", err), l.Close())
	}
	d.holdLink(ifindex, w, l)
	return nil
}

// linkKey identifies a link that a Datapath keeps open.
type linkKey struct {
	ifindex int
	way     direction
}

// adoptLink returns a pinned link of another index that is on this interface: the interface
// was moved to another network namespace and back, and has kept its programs. It renames
// the link's pin. It returns nil if there is none.
func (p pins) adoptLink(ifindex int, w direction) (*sys.Link, error) {
	indices, err := p.linkedParents()
	if err != nil {
		return nil, err
	}
	for _, other := range indices {
		l, err := sys.LoadPinnedLink(p.linkPath(other, w))
		if err != nil {
			continue // only the other direction has one, or it was removed since
		}
		if !linkOn(l, ifindex) {
			_ = l.Close() // closing a descriptor of a link reports nothing
			continue
		}
		if err := os.Rename(p.linkPath(other, w), p.linkPath(ifindex, w)); err != nil {
			return nil, errors.Join(fmt.Errorf("move pinned link: %w", err), l.Close())
		}
		return l, nil
	}
	return nil, nil
}

// holdLink keeps a link open, so that it stays attached if its pin is removed.
func (d *Datapath) holdLink(ifindex int, w direction, l *sys.Link) {
	d.releaseLink(ifindex, w)
	if d.links == nil {
		d.links = make(map[linkKey]*sys.Link)
	}
	d.links[linkKey{ifindex, w}] = l
}

func (d *Datapath) releaseLink(ifindex int, w direction) {
	if l := d.links[linkKey{ifindex, w}]; l != nil {
		_ = l.Close() // closing a descriptor of a link reports nothing
		delete(d.links, linkKey{ifindex, w})
	}
}

func (d *Datapath) releaseLinks() {
	for h := range d.links {
		d.releaseLink(h.ifindex, h.way)
	}
}

// pinHeld pins a link again that is open and still attached; it returns nil if there is none.
func (d *Datapath) pinHeld(ifindex int, w direction) (*sys.Link, error) {
	l := d.links[linkKey{ifindex, w}]
	if l == nil || !linkOn(l, ifindex) {
		return nil, nil
	}
	fresh, err := l.Clone()
	if err != nil {
		return nil, fmt.Errorf("pin link again: %w", err)
	}
	if err := fresh.Pin(d.pins.linkPath(ifindex, w)); err != nil {
		return nil, errors.Join(fmt.Errorf("pin link again: %w", err), fresh.Close())
	}
	return fresh, nil
}

// freeing bounds the time in which the kernel frees a link whose pin was removed: it does
// so in a work queue (kernel/bpf/syscall.c: bpf_link_put), and until then the program is
// still on the interface. On a loaded machine the work waits for the lock of network
// configuration.
const freeing = 2 * time.Second

// attachFirst attaches a program ahead of all others. It waits for a link of the same
// program that is being freed.
func attachFirst(p program, ifindex int, w sys.AttachType) (*sys.Link, error) {
	l, err := sys.AttachFirst(p.FD(), ifindex, w)
	for end := time.Now().Add(freeing); errors.Is(err, unix.EEXIST) && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
		l, err = sys.AttachFirst(p.FD(), ifindex, w)
	}
	return l, err
}

// swapLink gives a link of the old directory a new program, and moves its pin to the new
// directory. It drops a link whose interface is gone.
func (d *Datapath) swapLink(name string) error {
	old := filepath.Join(d.pins.nextDirectory().linksDir(), name)
	next := d.sibling
	if _, w, ok := parseLinkName(name); ok {
		next = d.programFor(w)
	} else if o, ok := linkOf(name); ok {
		next = d.programOf(o)
	}
	l, err := sys.LoadPinnedLink(old)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.Close()
	if err := l.Update(next.FD()); errors.Is(err, unix.ENOLINK) {
		return removePin(old)
	} else if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := os.Rename(old, filepath.Join(d.pins.linksDir(), name)); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	return nil
}

// linkOn reports whether the link is attached to the interface. If a link's interface is
// gone, its index is 0.
func linkOn(l *sys.Link, ifindex int) bool {
	info, ok, err := l.Info()
	return err == nil && ok && info.IfIndex == uint32(ifindex)
}

// detachTCX detaches and removes the links of an interface.
func (d *Datapath) detachTCX(ifindex int) error {
	var errs []error
	for _, w := range ways {
		errs = append(errs, detachLink(d.pins.linkPath(ifindex, w)))
		if l := d.links[linkKey{ifindex, w}]; l != nil && linkOn(l, ifindex) { // its pin was removed
			errs = append(errs, l.Detach())
		}
		d.releaseLink(ifindex, w)
	}
	return errors.Join(errs...)
}

// detachLink detaches and removes a pinned link, if there is one. The link is detached at
// once, even if another process has it open.
func detachLink(path string) error {
	l, err := sys.LoadPinnedLink(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = errors.Join(l.Detach(), l.Close())
	}
	return errors.Join(err, removePin(path))
}

func removePin(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove pinned link: %w", err)
	}
	return nil
}
