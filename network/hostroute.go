package network

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// protocolHost marks the routes of host shims (rtm_protocol), so that other
// routes of their interfaces stay untouched. Neither
// include/uapi/linux/rtnetlink.h nor iproute2's rt_protos uses the number.
const protocolHost = 98

// HostRoute is the host's route to one address of a container.
type HostRoute struct {
	To  netip.Addr
	Src netip.Addr // the host's source address on the route
}

// HostRoutes returns the host routes of a link.
func (h *Handle) HostRoutes(index int) ([]HostRoute, error) {
	answers, err := h.requestDump(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, &nl.RtMsg{})
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

// parseHostRoute parses the payload of an RTM_NEWROUTE message. If the route is
// not a host route, the result has no address.
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
			link = int(parseNumber(v))
		}
	}
	if int(m.Dst_len) != r.To.BitLen() {
		return HostRoute{}, 0
	}
	return r, link
}

// AddHostRoute adds a host route to a link; it succeeds if the route exists
// already. Errors: [ErrExists] if the main table has another route to the
// address, [ErrNoLink].
func (h *Handle) AddHostRoute(index int, r HostRoute) error {
	err := h.requestAck(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_EXCL, hostRouteMessage(index, r)...)
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

// ownHostRoute returns nil if the existing route is the same, else [ErrExists].
func (h *Handle) ownHostRoute(index int, r HostRoute) error {
	all, err := h.HostRoutes(index)
	for _, other := range all {
		if other == r {
			return nil
		}
	}
	return errors.Join(ErrExists, err)
}

// DeleteHostRoute deletes a host route of a link. It succeeds if the route does
// not exist, because routes are deleted with their link.
func (h *Handle) DeleteHostRoute(index int, r HostRoute) error {
	err := h.requestAck(unix.RTM_DELROUTE, 0, hostRouteMessage(index, r)...)
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

// AnswerARPByRoute limits the ARP of a second interface on a LAN: it answers only
// hosts that the host reaches by it, whichever of the host's addresses they
// request (arp_filter), and it sends requests with its own address
// (arp_announce), so that no neighbour learns its MAC for another address of the
// host (Documentation/networking/ip-sysctl.rst). Errors: [ErrNoLink].
func (n *Namespace) AnswerARPByRoute(ifname string) error {
	dir := "ipv4/conf/" + ifname + "/"
	err := n.writeSysctls([]sysctl{{dir + "arp_filter", "1"}, {dir + "arp_announce", "2"}})
	if err != nil {
		return fmt.Errorf("set ARP of interface %q: %w", ifname, err)
	}
	return nil
}
