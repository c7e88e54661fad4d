package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

func (w way) tcx() ebpf.AttachType {
	if w == ingress {
		return ebpf.AttachTCXIngress
	}
	return ebpf.AttachTCXEgress
}

// attachTCX makes or updates the two pinned links of a parent.
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

// updateTCX replaces the program of a pinned link. It returns false when there
// is none that is still attached to the interface.
func (d *Datapath) updateTCX(ifindex int, w way) (bool, error) {
	path := d.pins.link(ifindex, w)
	l, err := link.LoadPinnedLink(path, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("open pinned link: %w", err)
	}
	defer l.Close()
	if !linkOn(l, ifindex) {
		return false, removePin(path)
	}
	err = l.Update(d.program(w))
	if errors.Is(err, unix.ENOLINK) { // the interface has just gone
		return false, removePin(path)
	} else if err != nil {
		return false, fmt.Errorf("update pinned link: %w", err)
	}
	return true, nil
}

// linkTCX makes a link, first of all that are there, and pins it.
func (d *Datapath) linkTCX(ifindex int, w way) error {
	l, err := d.newLink(ifindex, w)
	for end := time.Now().Add(freeing); errors.Is(err, unix.EEXIST) && time.Now().Before(end); {
		time.Sleep(freeing / 20)
		l, err = d.newLink(ifindex, w)
	}
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(d.pins.link(ifindex, w)); err != nil {
		return fmt.Errorf("pin link: %w", err)
	}
	return nil
}

// freeing is how long the kernel may take to free a link whose pin was removed:
// it does so in a work queue (kernel/bpf/syscall.c: bpf_link_put), and until
// then the program is on the interface already.
const freeing = 200 * time.Millisecond

func (d *Datapath) newLink(ifindex int, w way) (link.Link, error) {
	return link.AttachTCX(link.TCXOptions{
		Interface: ifindex, Program: d.program(w), Attach: w.tcx(), Anchor: link.Head(),
	})
}

// swapLink gives a link of the old folder a program of ours, and moves it to
// the new one; one whose interface is gone is dropped.
func (d *Datapath) swapLink(name string) error {
	old := filepath.Join(d.pins.next().links(), name)
	program := d.sibling
	if _, w, ok := parseLinkName(name); ok {
		program = d.program(w)
	}
	l, err := link.LoadPinnedLink(old, nil)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer l.Close()
	if err := l.Update(program); errors.Is(err, unix.ENOLINK) {
		return removePin(old)
	} else if err != nil {
		return fmt.Errorf("update: %w", err)
	}
	if err := os.Rename(old, filepath.Join(d.pins.links(), name)); err != nil {
		return fmt.Errorf("move: %w", err)
	}
	return nil
}

// linkOn reports whether the link is attached to the interface; one whose
// interface is gone says 0.
func linkOn(l link.Link, ifindex int) bool {
	info, err := l.Info()
	if err != nil || info.TCX() == nil {
		return false
	}
	return info.TCX().Ifindex == uint32(ifindex)
}

// linkedTCX reports whether both pinned links are attached to the interface.
func linkedTCX(p pins, ifindex int) bool {
	for _, w := range ways {
		l, err := link.LoadPinnedLink(p.link(ifindex, w), nil)
		if err != nil {
			return false
		}
		on := linkOn(l, ifindex)
		_ = l.Close()
		if !on {
			return false
		}
	}
	return true
}

// detachTCX detaches and removes the pinned links of an interface.
func detachTCX(p pins, ifindex int) error {
	var errs []error
	for _, w := range ways {
		errs = append(errs, detachLink(p.link(ifindex, w)))
	}
	return errors.Join(errs...)
}

// detachLink detaches and removes a pinned link, if there is one. It is
// detached at once, even if another process has it open.
func detachLink(path string) error {
	l, err := link.LoadPinnedLink(path, nil)
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
