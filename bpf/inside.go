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
)

var ownPrograms = []OwnProgram{SiblingProgram, ReceiverProgram}

// String returns the term for the program.
func (o OwnProgram) String() string { return o.pin + " program" }

func (o OwnProgram) attachType() ebpf.AttachType {
	if o.way == ingress {
		return ebpf.AttachTCXIngress
	}
	return ebpf.AttachTCXEgress
}

// linkOf returns the program of the pinned link with this name; ok is false if it is a parent's.
func linkOf(name string) (o OwnProgram, ok bool) {
	for _, o := range ownPrograms {
		if strings.HasPrefix(name, o.prefix) {
			return o, true
		}
	}
	return OwnProgram{}, false
}

func (d *Datapath) programOf(o OwnProgram) *ebpf.Program {
	if o == ReceiverProgram {
		return d.receiver
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

// OwnProgramsError returns nil if the programs on endpoints' own interfaces run on this
// kernel, else the reason why they do nothing.
func (d *Datapath) OwnProgramsError() error { return d.noSibling }

// updateInsides replaces the programs of an earlier run on every endpoint's own interface.
func (d *Datapath) updateInsides() error {
	return d.pins.eachInside(func(o OwnProgram, path string, l link.Link) error {
		info, err := l.Info()
		if err == nil && info.TCX() != nil && info.TCX().Ifindex != 0 {
			err = l.Update(d.programOf(o))
		} else if err == nil || errors.Is(err, unix.ENOLINK) {
			return removePin(path) // the interface is gone
		}
		return err
	})
}

// eachInside calls fn for each pinned link of a program on an endpoint's own interface.
func (p pins) eachInside(fn func(o OwnProgram, path string, l link.Link) error) error {
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
		l, err := link.LoadPinnedLink(path, nil)
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
	return p.eachInside(func(_ OwnProgram, path string, l link.Link) error {
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
	p, err := ebpf.LoadPinnedProgram(m.pins.objectPath(o.pin), nil)
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
	if errors.Is(err, ebpf.ErrNotSupported) {
		err = filterInside(o, p, e.Index)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("attach the %s to interface %d: %w", o, e.Index, err), m.forgetInside(o, e))
	}
	return nil
}

func (m *Maps) linkInside(o OwnProgram, p *ebpf.Program, e Endpoint) error {
	if err := detachLink(m.pins.insidePath(o, e.Slot)); err != nil {
		return err
	}
	l, err := attachFirst(link.TCXOptions{Interface: e.Index, Program: p, Attach: o.attachType()})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := l.Pin(m.pins.insidePath(o, e.Slot)); err != nil {
		return fmt.Errorf("pin link: %w", err)
	}
	return nil
}

// filterInside is linkInside for a kernel without tcx.
func filterInside(o OwnProgram, p *ebpf.Program, ifindex int) error {
	tc, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer tc.Close()
	if _, err := ensureClsact(tc, ifindex); err != nil {
		return err
	}
	device := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	filters, err := tc.FilterList(device, o.way.qdiscParent())
	if err != nil {
		return fmt.Errorf("list clsact filters: %w", err)
	}
	filter := planFilter(filters, ifindex, o.way)
	filter.Fd = p.FD()
	if err := replaceFilter(tc, filter); err != nil {
		return fmt.Errorf("put clsact filter: %w", err)
	}
	return nil
}

// LinkedInsides returns a function that reports whether a program was on the interface of a
// slot when LinkedInsides was called: its link is pinned, and attached. It is always true on a
// kernel without tcx.
func (d *Datapath) LinkedInsides() func(o OwnProgram, slot uint32) bool {
	if !hasTCX() {
		return func(OwnProgram, uint32) bool { return true }
	}
	linked := make(map[string]bool)
	_ = d.pins.eachInside(func(_ OwnProgram, path string, l link.Link) error { // an unreadable link counts as missing
		linked[path] = insideIndex(l) != 0
		return nil
	})
	return func(o OwnProgram, slot uint32) bool { return linked[d.pins.insidePath(o, slot)] }
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
func (m *Maps) MissesInside(o OwnProgram, e Endpoint) (bool, error) {
	if _, err := os.Stat(m.pins.objectPath(o.pin)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, fmt.Errorf("pinned program %q: %w", o.pin, err)
	}
	tcx := hasTCX()
	if o == SiblingProgram || !tcx {
		v, err := m.inside(insideOf(o, e))
		if err != nil || v.Slot != e.Slot {
			return err == nil, err
		}
	}
	if !tcx {
		return false, nil
	}
	l, err := link.LoadPinnedLink(m.pins.insidePath(o, e.Slot), nil)
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
