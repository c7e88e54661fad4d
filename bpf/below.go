//go:build !hook

package bpf

import (
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// deviceLister lists interfaces in the network namespace in which it was opened.
type deviceLister = *netlink.Handle

func closeLister(l deviceLister) {
	if l != nil {
		l.Close()
	}
}

// openNetlink opens both of a Datapath's ways to netlink.
func openNetlink() (*tc, deviceLister, error) {
	c, err := openTC()
	if err != nil {
		return nil, nil, err
	}
	devices, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		c.Close()
		return nil, nil, fmt.Errorf("open netlink: %w", err)
	}
	return c, devices, nil
}

// device is an interface whose programs get a parent's frames before berth's do.
type device struct {
	index int
	name  string
	xdp   *netlink.LinkXdp
	lower bool // below the parent: a trunk, or a port of a bridge, bond or team
}

// maxStacked bounds the depth of stacked interfaces (MAX_NEST_DEV in include/linux/netdevice.h).
const maxStacked = 8

// portKinds are the kinds of interfaces that receive frames through ports.
var portKinds = []string{"bridge", "bond", "team"}

// below returns an interface and all below it, from which it receives its frames.
func (d *Datapath) below(ifindex int) (all []device, err error) {
	next := []int{ifindex}
	for depth := 0; depth < maxStacked && len(next) > 0; depth++ {
		var links []int
		for _, index := range next {
			if slices.ContainsFunc(all, func(o device) bool { return o.index == index }) {
				continue
			}
			l, err := d.devices.LinkByIndex(index)
			if _, gone := err.(netlink.LinkNotFoundError); gone {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("look below interface %d: %w", ifindex, err)
			}
			at := l.Attrs()
			all = append(all, device{index, at.Name, at.Xdp, index != ifindex})
			lower, err := d.lowerOf(l)
			if err != nil {
				return nil, fmt.Errorf("look below interface %q: %w", at.Name, err)
			}
			links = append(links, lower...)
		}
		next = links
	}
	return all, nil
}

// lowerOf returns the indices of the trunk or the ports of an interface.
func (d *Datapath) lowerOf(l netlink.Link) (all []int, err error) {
	at := l.Attrs()
	if l.Type() == "vlan" && at.NetNsID < 0 {
		return []int{at.ParentIndex}, nil
	}
	if !slices.Contains(portKinds, l.Type()) {
		return nil, nil
	}
	links, err := d.devices.LinkList()
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) { // the next inspection is soon
		return nil, err
	}
	for _, port := range links {
		if port.Attrs().MasterIndex == at.Index {
			all = append(all, port.Attrs().Index)
		}
	}
	return all, nil
}

// aheadBelow returns the names of the programs and chains that get the frames of a parent
// before the TC programs on it: XDP and the card's own forwarding on the parent, nftables chains
// at its egress, and all programs at the ingress of the interfaces below it.
func (d *Datapath) aheadBelow(ifindex int, chains []netdevChain) (ahead []string, err error) {
	devices, err := d.below(ifindex)
	if err != nil {
		return nil, err
	}
	for _, on := range devices {
		if x := on.xdp; x != nil && x.Attached {
			mode := xdpModes[x.AttachMode]
			if mode == "" {
				mode = "more than one"
			}
			ahead = append(ahead, fmt.Sprintf("XDP (%s) program %s on %q", mode, programText(x.ProgId), on.name))
		}
		for _, c := range chains {
			if c.isOn(on.name) && c.egress != on.lower {
				ahead = append(ahead, fmt.Sprintf("%s on %q", c, on.name))
			}
		}
		more, err := d.aheadOn(on)
		if err != nil {
			return nil, fmt.Errorf("programs of interface %q: %w", on.name, err)
		}
		ahead = append(ahead, more...)
	}
	return ahead, nil
}

// aheadOn returns the names of the TC programs of an interface below a parent, or the card's own
// forwarding on the parent itself.
func (d *Datapath) aheadOn(on device) (ahead []string, err error) {
	if !on.lower {
		features, err := activeFeatures(on.index)
		return forwardingAhead(on.name, features), err
	}
	programs, err := d.ingressOf(on.index)
	for _, p := range programs {
		ahead = append(ahead, fmt.Sprintf("%s on %q", p, on.name))
	}
	return ahead, err
}

// xdpModes are the values of IFLA_XDP_ATTACHED (include/uapi/linux/if_link.h).
var xdpModes = map[uint32]string{
	nl.XDP_ATTACHED_DRV: "native", nl.XDP_ATTACHED_SKB: "generic", nl.XDP_ATTACHED_HW: "offloaded",
}

// ingressOf names the TC programs at the ingress of an interface that are not berth's.
func (d *Datapath) ingressOf(ifindex int) (all []string, err error) {
	programs, err := runningTCX(ifindex, ingress)
	if errors.Is(err, errNotOn) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	var own uint32
	if info, err := d.pins.linkInfo(ifindex, ingress); err == nil {
		own = info.ID
	}
	for _, p := range programs {
		if p.Link == 0 || p.Link != own {
			all = append(all, fmt.Sprintf("tcx ingress program %s", programText(p.Program)))
		}
	}
	filters, err := d.filters(ifindex, ingress)
	if err != nil {
		return nil, err
	}
	if ours := ourFilter(filters, ingress); ours != nil {
		filters = slices.DeleteFunc(filters, func(f *filter) bool { return f == ours })
	}
	return append(all, filtersAhead(filters, nil, ingress)...), nil
}
