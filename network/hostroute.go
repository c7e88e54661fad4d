package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// protocolHost marks the routes of host shims (rtm_protocol), so that no other
// route of their interfaces is touched. It is none of those that
// include/uapi/linux/rtnetlink.h or iproute2's rt_protos name.
const protocolHost = 98

// HostRoute is the way of the host to one address of a container.
type HostRoute struct {
	To  netip.Addr
	Src netip.Addr // what the host calls itself there
}

// HostRoutes returns the host routes of a link.
func (h *Handle) HostRoutes(index int) ([]HostRoute, error) {
	answers, err := h.dump(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, &nl.RtMsg{})
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var all []HostRoute
	for _, b := range answers {
		if r, link := parseHostRoute(b); link == index && r.To.IsValid() {
			all = append(all, r)
		}
	}
	return all, nil
}

// parseHostRoute reads the payload of an RTM_NEWROUTE message; a route that is
// no host route has no address.
func parseHostRoute(b []byte) (r HostRoute, link int) {
	if len(b) < unix.SizeofRtMsg {
		return r, 0
	}
	m := nl.DeserializeRtMsg(b)
	if m.Protocol != protocolHost || m.Table != unix.RT_TABLE_MAIN {
		return r, 0
	}
	for kind, v := range attributes(b[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_DST:
			r.To, _ = netip.AddrFromSlice(v)
		case unix.RTA_PREFSRC:
			r.Src, _ = netip.AddrFromSlice(v)
		case unix.RTA_OIF:
			link = int(number(v))
		}
	}
	if int(m.Dst_len) != r.To.BitLen() {
		return HostRoute{}, 0
	}
	return r, link
}

// AddHostRoute adds a host route to a link; one that is there is no error.
// Errors: [ErrExists] when the main table has another way to the address,
// [ErrNoLink].
func (h *Handle) AddHostRoute(index int, r HostRoute) error {
	err := h.change(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, hostRouteMessage(index, r)...)
	if isErrno(err, unix.EEXIST) {
		err = h.ownHostRoute(index, r)
	}
	if isErrno(err, unix.ENODEV) {
		err = ErrNoLink
	}
	if err != nil {
		return fmt.Errorf("add route to %s: %w", r.To, err)
	}
	return nil
}

// ownHostRoute says whether the route that is in the way is the same.
func (h *Handle) ownHostRoute(index int, r HostRoute) error {
	all, err := h.HostRoutes(index)
	for _, other := range all {
		if other == r {
			return nil
		}
	}
	return errors.Join(ErrExists, err)
}

// DeleteHostRoute deletes a host route of a link. One that is not there is no
// error, because routes go with their link.
func (h *Handle) DeleteHostRoute(index int, r HostRoute) error {
	err := h.change(unix.RTM_DELROUTE, 0, hostRouteMessage(index, r)...)
	if err == nil || isErrno(err, unix.ESRCH) || isErrno(err, unix.ENODEV) {
		return nil
	}
	return fmt.Errorf("delete route to %s: %w", r.To, err)
}

func hostRouteMessage(index int, r HostRoute) []nl.NetlinkRequestData {
	parts := routeMessage(index, netip.PrefixFrom(r.To, r.To.BitLen()), Route{})
	parts[0].(*nl.RtMsg).Protocol = protocolHost
	if r.Src.IsValid() {
		parts = append(parts, nl.NewRtAttr(unix.RTA_PREFSRC, r.Src.AsSlice()))
	}
	return parts
}

// AnswerARPByRoute makes a second interface on a LAN keep to itself: it answers
// ARP only to those whom the host reaches by it, whatever address of the host
// they ask for (arp_filter), and it asks with its own address (arp_announce),
// so that nobody else on the LAN learns its MAC for another address of the
// host (Documentation/networking/ip-sysctl.rst). Errors: [ErrNoLink].
func (n *Namespace) AnswerARPByRoute(ifname string) error {
	dir := "ipv4/conf/" + ifname + "/"
	err := n.Do(func() error {
		return writeSysctls([]sysctl{{dir + "arp_filter", "1"}, {dir + "arp_announce", "2"}})
	})
	if err != nil {
		return fmt.Errorf("set ARP of %q: %w", ifname, err)
	}
	return nil
}
