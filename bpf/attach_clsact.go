package bpf

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// filterHandle is the handle of our filters: with the name, how they are told
// from others'.
const filterHandle = 0xbe27

func (w way) filterName() string { return "berth-" + w.String() }

// qdiscParent is where filters of a clsact qdisc hang (TC_H_MIN_INGRESS and
// TC_H_MIN_EGRESS in include/uapi/linux/pkt_sched.h).
func (w way) qdiscParent() uint32 {
	if w == ingress {
		return netlink.HANDLE_MIN_INGRESS
	}
	return netlink.HANDLE_MIN_EGRESS
}

// attachClsact makes the qdisc, if there is none, and makes or replaces our
// two filters.
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
		filter.Fd = d.program(w).FD()
		if err := d.tc.FilterReplace(filter); err != nil {
			return fmt.Errorf("put clsact %s filter: %w", w, err)
		}
	}
	return nil
}

// planFilter returns our filter: where it stands already, or at the first
// priority that nobody else uses. The kernel goes through them in their order.
func planFilter(filters []netlink.Filter, ifindex int, w way) *netlink.BpfFilter {
	priority := uint16(1)
	if ours := ourFilter(filters, w); ours != nil {
		priority = ours.Priority
	} else {
		taken := make(map[uint16]bool)
		for _, f := range filters {
			taken[f.Attrs().Priority] = true
		}
		for taken[priority] {
			priority++
		}
	}
	return &netlink.BpfFilter{
		FilterAttrs: netlink.FilterAttrs{
			LinkIndex: ifindex, Parent: w.qdiscParent(), Handle: filterHandle,
			Priority: priority, Protocol: unix.ETH_P_ALL,
		},
		Name: w.filterName(), DirectAction: true,
	}
}

// ourFilter finds our filter among those of one way, or returns nil.
func ourFilter(filters []netlink.Filter, w way) *netlink.BpfFilter {
	for _, f := range filters {
		bpf, ok := f.(*netlink.BpfFilter)
		if ok && bpf.Name == w.filterName() && bpf.Handle == filterHandle {
			return bpf
		}
	}
	return nil
}

// detachClsact removes our filters, and the qdisc if we made it and nobody
// else has come to use it.
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
		if err := d.tc.FilterDel(ours); err != nil && !gone(err) {
			return fmt.Errorf("delete clsact %s filter: %w", w, err)
		}
		left--
	}
	p, err := d.maps.parent(ifindex)
	if err != nil || p.Flags&parentMadeQdisc == 0 {
		return nil
	}
	if left == 0 {
		if err := d.tc.QdiscDel(clsact(ifindex)); err != nil && !gone(err) {
			return fmt.Errorf("delete clsact qdisc: %w", err)
		}
	}
	p.Flags &^= parentMadeQdisc
	return d.maps.put(mapParents, uint32(ifindex), p)
}

// ensureQdisc makes the clsact qdisc, and remembers that it is ours.
func (d *Datapath) ensureQdisc(ifindex int) error {
	err := d.tc.QdiscAdd(clsact(ifindex))
	if errors.Is(err, unix.EEXIST) {
		return nil
	} else if err != nil {
		return fmt.Errorf("make clsact qdisc: %w", err)
	}
	p, err := d.maps.parent(ifindex)
	if err != nil {
		return err
	}
	p.Flags |= parentMadeQdisc
	return d.maps.put(mapParents, uint32(ifindex), p)
}

// filtered reports whether both our filters are on the interface.
func (d *Datapath) filtered(ifindex int) (bool, error) {
	for _, w := range ways {
		filters, err := d.filters(ifindex, w)
		if err != nil {
			return false, err
		}
		if ourFilter(filters, w) == nil {
			return false, nil
		}
	}
	return true, nil
}

// filters lists the filters of one way; none where interface or qdisc are
// missing.
func (d *Datapath) filters(ifindex int, w way) ([]netlink.Filter, error) {
	device := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: ifindex}}
	filters, err := d.tc.FilterList(device, w.qdiscParent())
	if err != nil && !gone(err) {
		return nil, fmt.Errorf("list clsact %s filters: %w", w, err)
	}
	return filters, nil
}

func clsact(ifindex int) *netlink.Clsact {
	return &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{
		LinkIndex: ifindex, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT,
	}}
}

// gone reports whether the interface, the qdisc or the filter is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL)
}
