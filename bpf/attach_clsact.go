package bpf

import (
	"cmp"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// filterHandle is the handle of berth's filters; it and the name identify them.
const filterHandle = 0xbe27

func (w direction) filterName() string { return "berth-" + w.String() }

// qdiscParent returns the parent handle of a clsact qdisc's filters (TC_H_MIN_INGRESS and
// TC_H_MIN_EGRESS in include/uapi/linux/pkt_sched.h).
func (w direction) qdiscParent() uint32 {
	if w == ingress {
		return parentIngress
	}
	return parentEgress
}

// attachClsact creates the qdisc if there is none, and creates or replaces berth's two
// filters.
func (d *Datapath) attachClsact(ifindex int) error {
	if err := d.ensureQdisc(ifindex); err != nil {
		return err
	}
	for _, w := range ways {
		filters, err := d.filters(ifindex, w)
		if err != nil {
			return err
		}
		filter := planFilter(filters, ifindex, w)
		filter.fd = d.programFor(w).FD()
		if err := replaceFilter(d.tc, filter); err != nil {
			return fmt.Errorf("put clsact %s filter: %w", w, err)
		}
	}
	return nil
}

// ErrSharedBlock is returned for an interface whose clsact qdisc has the filters of a block,
// which other interfaces have too: the kernel then takes no filter for one interface.
var ErrSharedBlock = errors.New("its clsact qdisc shares its filters with other interfaces")

// replaceFilter creates or replaces a filter. The error wraps [ErrSharedBlock] if the kernel
// refuses filters of this interface alone (tcf_block_find in net/sched/cls_api.c).
func replaceFilter(c *tc, f *filter) error {
	err := c.putFilter(f)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	name := nameOf(c, f.index)
	return fmt.Errorf(`%w (%w); set attach = "auto" under [agent] in berth.toml (tcx, from Linux 6.6), `+
		`or make the qdisc anew without ingress_block and egress_block: tc qdisc del dev %s clsact`,
		ErrSharedBlock, err, name)
}

// planFilter returns berth's filter at its present priority, or at the first priority that
// is free. The kernel runs filters in the order of their priorities.
func planFilter(filters []*filter, ifindex int, w direction) *filter {
	priority := uint16(1)
	if ours := ourFilter(filters, w); ours != nil {
		priority = ours.priority
	} else {
		taken := make(map[uint16]bool)
		for _, f := range filters {
			taken[f.priority] = true
		}
		for taken[priority] {
			priority++
		}
	}
	return &filter{
		index: ifindex, parent: w.qdiscParent(), handle: filterHandle, priority: priority,
		kind: kindBPF, name: w.filterName(), directAction: true,
	}
}

// filtersUpTo returns the filters of a priority or of one that the kernel runs earlier.
func filtersUpTo(filters []*filter, priority uint16) (all []*filter) {
	for _, f := range filters {
		if f.priority <= priority {
			all = append(all, f)
		}
	}
	return all
}

// ourFilter returns berth's filter among those of one direction, or nil.
func ourFilter(filters []*filter, w direction) *filter {
	for _, f := range filters {
		if f.kind == kindBPF && f.name == w.filterName() && f.handle == filterHandle {
			return f
		}
	}
	return nil
}

// detachClsact removes berth's filters, and the qdisc if berth created it and no other
// filter is on it.
func (d *Datapath) detachClsact(ifindex int) error {
	left := 0
	for _, w := range ways {
		filters, err := d.filters(ifindex, w)
		if err != nil {
			return err
		}
		left += len(filters)
		ours := ourFilter(filters, w)
		if ours == nil {
			continue
		}
		if err := d.tc.deleteFilter(ours); err != nil && !isGone(err) {
			return fmt.Errorf("delete clsact %s filter: %w", w, err)
		}
		left--
	}
	p, err := d.maps.parentOf(ifindex)
	if err != nil || p.Flags&parentMadeQdisc == 0 {
		return nil
	}
	if kind, _, err := ingressQdisc(d.tc, ifindex); err != nil {
		return err
	} else if left == 0 && kind == Clsact {
		if err := d.tc.deleteClsact(ifindex); err != nil && !isGone(err) {
			return fmt.Errorf("delete clsact qdisc: %w", err)
		}
	}
	p.Flags &^= parentMadeQdisc
	return setUnlessEqual(d.maps, mapParents, uint32(ifindex), p)
}

// ensureQdisc creates the clsact qdisc, and records whether berth created it: an existing
// one without berth's filters belongs to another program, whatever was recorded before.
func (d *Datapath) ensureQdisc(ifindex int) error {
	made, err := ensureClsact(d.tc, ifindex)
	if err != nil {
		return err
	}
	p, err := d.maps.parentOf(ifindex)
	if err != nil {
		return err
	}
	before := p
	switch found, err := d.anyFilter(ifindex); {
	case err != nil:
		return err
	case made:
		p.Flags |= parentMadeQdisc
	case !found:
		p.Flags &^= parentMadeQdisc
	}
	if p == before {
		return nil
	}
	return setUnlessEqual(d.maps, mapParents, uint32(ifindex), p)
}

// anyFilter reports whether one of berth's filters is on the interface.
func (d *Datapath) anyFilter(ifindex int) (bool, error) {
	for _, w := range ways {
		filters, err := d.filters(ifindex, w)
		if err != nil || ourFilter(filters, w) != nil {
			return err == nil, err
		}
	}
	return false, nil
}

// ErrQdisc is returned for an interface on which clsact cannot be created: the older "ingress",
// which has no egress, is in its place, or another qdisc has its handle.
var ErrQdisc = errors.New("clsact cannot be created")

// ensureClsact creates the clsact qdisc of an interface, and reports whether it did; made
// is false if there is one. The error wraps [ErrQdisc] if another kind is in its place or
// has its handle.
func ensureClsact(c *tc, ifindex int) (made bool, err error) {
	add := c.addClsact(ifindex)
	kind, handle, err := ingressQdisc(c, ifindex)
	switch {
	case err != nil:
		return false, err
	case kind == Clsact:
		return add == nil, nil
	case kind != "":
		return false, fmt.Errorf(`%w: in its place is a qdisc of kind %q, which has no egress; set attach = "auto" under `+
			`[agent] in berth.toml (tcx, from Linux 6.6), or remove it with its filters: tc qdisc del dev %s ingress`,
			ErrQdisc, kind, nameOf(c, ifindex))
	case handle != "":
		return false, fmt.Errorf(`%w: its handle ffff: is that of a qdisc of kind %q; give that one another handle, or set `+
			`attach = "auto" under [agent] in berth.toml (tcx, from Linux 6.6)`, ErrQdisc, handle)
	}
	return false, fmt.Errorf("make clsact qdisc: %w", cmp.Or(add, error(unix.EAGAIN))) // removed meanwhile
}

func nameOf(c *tc, ifindex int) string {
	l, err := c.link(ifindex)
	if err != nil {
		return fmt.Sprintf("DEVICE (of index %d)", ifindex)
	}
	return l.name
}

// ingressQdisc returns the kind of the qdisc at the parent handle that "clsact" and the older
// "ingress" share (TC_H_INGRESS in include/uapi/linux/pkt_sched.h), and the kind of a qdisc
// elsewhere that has their own handle; each is "" if there is none.
func ingressQdisc(c *tc, ifindex int) (atParent, withHandle string, err error) {
	all, err := c.qdiscs(ifindex)
	if isGone(err) {
		return "", "", nil
	} else if err != nil {
		return "", "", fmt.Errorf("list qdiscs: %w", err)
	}
	for _, q := range all {
		switch {
		case q.parent == parentClsact:
			atParent = q.kind
		case q.handle == clsactHandle:
			withHandle = q.kind
		}
	}
	return atParent, withHandle, nil
}

// filters returns the filters of one direction, or none if the interface or the qdisc does
// not exist.
func (d *Datapath) filters(ifindex int, w direction) ([]*filter, error) {
	filters, err := d.tc.filters(ifindex, w.qdiscParent())
	if err != nil && !isGone(err) {
		return nil, fmt.Errorf("list clsact %s filters: %w", w, err)
	}
	return filters, nil
}

// isGone reports whether the interface, the qdisc or the filter does not exist.
func isGone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL)
}
