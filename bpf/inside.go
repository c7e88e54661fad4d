package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/features"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/specs"
)

// progSibling is the name of the sibling program in the object file.
const progSibling = "berth_sibling"

// insidePrefix begins the names of the pinned links of that program; the slot follows.
const insidePrefix = "inside-"

func (p pins) insidePath(slot uint32) string {
	return filepath.Join(p.linksDir(), fmt.Sprintf("%s%d", insidePrefix, slot))
}

// GroupKinds returns those kinds whose group frames the sibling program drops on a macvlan
// interface in mode bridge: the driver gives siblings their copies before the parent's
// programs see the frame (macvlan_queue_xmit in drivers/net/macvlan.c).
func GroupKinds() []specs.Kind {
	return []specs.Kind{specs.MACSpoof, specs.IPSpoof, specs.HostIsolation, specs.RogueDHCP, specs.RogueRA}
}

// onItself reports whether an endpoint may have the sibling program on its own interface.
func (e Endpoint) onItself() bool { return e.Driver == specs.IPvlan || e.Mode == specs.ModeBridge }

// knowsInterfaces returns nil if the sibling program can find its interface's namespace on
// this kernel, else the reason why not: it reads the namespace from the kernel's own
// structures, by their names in the kernel's BTF.
func knowsInterfaces() error {
	types, err := btf.LoadKernelSpec()
	if err != nil {
		return fmt.Errorf("the kernel does not show its types: %w", err)
	}
	if !hasMember(types, "net", "net_cookie") {
		return errors.New("the kernel's struct net has no net_cookie")
	}
	return features.HaveProgramHelper(ebpf.SchedCLS, asm.FnProbeReadKernel)
}

// hasMember reports whether a structure has a member.
func hasMember(types *btf.Spec, structure, member string) bool {
	var of *btf.Struct
	if types.TypeByName(structure, &of) != nil {
		return false
	}
	return slices.ContainsFunc(of.Members, func(m btf.Member) bool { return m.Name == member })
}

// CountsSiblings returns nil if the sibling program runs on this kernel, else the reason why
// not.
func (d *Datapath) CountsSiblings() error { return d.noSibling }

// updateInsides replaces the sibling program of an earlier run on every interface.
func (d *Datapath) updateInsides() error {
	return d.pins.eachInside(func(path string, l link.Link) error {
		info, err := l.Info()
		if err == nil && info.TCX() != nil && info.TCX().Ifindex != 0 {
			err = l.Update(d.sibling)
		} else if err == nil || errors.Is(err, unix.ENOLINK) {
			return removePin(path) // the interface is gone
		}
		return err
	})
}

// eachInside calls fn for each pinned link of the sibling program.
func (p pins) eachInside(fn func(path string, l link.Link) error) error {
	files, err := os.ReadDir(p.linksDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list pinned links: %w", err)
	}
	var errs []error
	for _, f := range files {
		if !strings.HasPrefix(f.Name(), insidePrefix) {
			continue
		}
		path := filepath.Join(p.linksDir(), f.Name())
		l, err := link.LoadPinnedLink(path, nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue // released since
		}
		if err == nil {
			err = errors.Join(fn(path, l), l.Close())
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("pinned link %q: %w", f.Name(), err))
		}
	}
	return errors.Join(errs...)
}

func (p pins) detachInsides() error {
	return p.eachInside(func(path string, l link.Link) error {
		return errors.Join(l.Detach(), removePin(path))
	})
}

// detachInside detaches the link of one slot at once, if there is one.
func (p pins) detachInside(slot uint32) error { return detachLink(p.insidePath(slot)) }

// AttachInside attaches the sibling program to an endpoint's own interface. On ipvlan it
// counts and judges frames between siblings, which do not pass the parent; on macvlan in
// mode bridge it drops group frames that break an enforced rule, before siblings get their
// copies. It is called in the namespace of the interface (Endpoint.Index), before the
// interface can send; Unregister undoes it. It does nothing if no agent has pinned the
// program.
//
// Without tcx the program is attached as a clsact filter. It is never replaced: until the
// interface is deleted it counts into the maps that existed when it was attached.
func (m *Maps) AttachInside(e Endpoint) error {
	p, err := ebpf.LoadPinnedProgram(m.pins.objectPath(pinSibling), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open pinned program %q: %w", pinSibling, err)
	}
	defer p.Close()
	if err := m.PutInside(e); err != nil {
		return err
	}
	err = m.linkInside(p, e)
	if errors.Is(err, ebpf.ErrNotSupported) {
		err = filterInside(p, e.Index)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("attach inside to interface %d: %w", e.Index, err), m.forgetInside(e))
	}
	return nil
}

func (m *Maps) linkInside(p *ebpf.Program, e Endpoint) error {
	if err := m.pins.detachInside(e.Slot); err != nil {
		return err
	}
	l, err := attachFirst(link.TCXOptions{Interface: e.Index, Program: p, Attach: ebpf.AttachTCXEgress})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(m.pins.insidePath(e.Slot)); err != nil {
		return fmt.Errorf("pin link: %w", err)
	}
	return nil
}

// filterInside is linkInside for a kernel without tcx.
func filterInside(p *ebpf.Program, ifindex int) error {
	tc, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer tc.Close()
	if _, err := ensureClsact(tc, ifindex); err != nil {
		return err
	}
	device := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	filters, err := tc.FilterList(device, egress.qdiscParent())
	if err != nil {
		return fmt.Errorf("list clsact filters: %w", err)
	}
	filter := planFilter(filters, ifindex, egress)
	filter.Fd = p.FD()
	if err := tc.FilterReplace(filter); err != nil {
		return fmt.Errorf("put clsact filter: %w", err)
	}
	return nil
}

// LinkedInsides returns a function that reports whether the sibling program was on the
// interface of a slot when LinkedInsides was called: its link is pinned, and attached. It is
// always true on a kernel without tcx.
func (d *Datapath) LinkedInsides() func(slot uint32) bool {
	if !hasTCX() {
		return func(uint32) bool { return true }
	}
	linked := make(map[string]bool)
	_ = d.pins.eachInside(func(path string, l link.Link) error { // a link that cannot be read counts as missing
		linked[path] = insideIndex(l) != 0
		return nil
	})
	return func(slot uint32) bool { return linked[d.pins.insidePath(slot)] }
}

// insideIndex returns the index of the interface that a link is on, or 0 if it was detached.
func insideIndex(l link.Link) int {
	info, err := l.Info()
	if err != nil || info.TCX() == nil {
		return 0
	}
	return int(info.TCX().Ifindex)
}

// MissesInside reports whether AttachInside is due for an endpoint: it was not called since
// the maps were created, or its program was removed from the interface. It is false if no
// agent has pinned the program.
func (m *Maps) MissesInside(e Endpoint) (bool, error) {
	if _, err := os.Stat(m.pins.objectPath(pinSibling)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("pinned program %q: %w", pinSibling, err)
	}
	v, err := m.inside(e)
	if err != nil || v.Slot != e.Slot {
		return err == nil, err
	}
	if !hasTCX() {
		return false, nil
	}
	l, err := link.LoadPinnedLink(m.pins.insidePath(e.Slot), nil)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	} else if err != nil {
		return false, fmt.Errorf("pinned link of slot %d: %w", e.Slot, err)
	}
	defer l.Close()
	return insideIndex(l) != e.Index, nil
}

// hasTCX reports whether the kernel has tcx, and so a link to pin.
var hasTCX = sync.OnceValue(func() bool {
	const loopback = 1
	_, err := link.QueryPrograms(link.QueryOptions{Target: loopback, Attach: ebpf.AttachTCXEgress})
	return err == nil
})
