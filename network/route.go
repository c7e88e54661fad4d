package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Route is a route through one interface, in the main table.
type Route struct {
	To     netip.Prefix // if zero, the default route of Via's family
	Via    netip.Addr   // if zero, To is reached directly
	Metric int          // 0 for the kernel's default: 0 for IPv4, 1024 for IPv6
	OnLink bool         // Via is on the link even if no subnet contains it

	Replace bool // replaces a route to the same destination with the same metric
}

// AddRoute adds a route. Errors: [ErrExists] (also for another route to the same
// destination with the same metric), [ErrUnreachable], [ErrNoLink].
func (h *Handle) AddRoute(index int, r Route) error {
	to := r.To
	if !to.IsValid() && r.Via.IsValid() {
		to = netip.PrefixFrom(unspecifiedFor(r.Via), 0)
	}
	if !to.IsValid() {
		return fmt.Errorf("add route to interface %d: it has neither a destination nor a gateway", index)
	}
	unlessThere := unix.NLM_F_EXCL
	if r.Replace {
		unlessThere = unix.NLM_F_REPLACE
	}
	err := h.requestAck(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unlessThere, routeMessage(index, to, r)...)
	switch {
	case isErrno(err, unix.EEXIST):
		err = ErrExists
	case isErrno(err, unix.ENETUNREACH), isErrno(err, unix.EHOSTUNREACH), r.Via.IsValid() && isErrno(err, unix.EINVAL):
		err = fmt.Errorf("%w: %w", ErrUnreachable, err)
	case isErrno(err, unix.ENODEV):
		err = ErrNoLink
	}
	if err != nil {
		return fmt.Errorf("add route to %s%s: %w", to, r.viaText(), err)
	}
	return nil
}

func (r Route) viaText() string {
	if !r.Via.IsValid() {
		return ""
	}
	return " via " + r.Via.String()
}

// DeleteRoute deletes a route that [Handle.Routes] returned, whichever program
// set it. It succeeds if the route does not exist.
func (h *Handle) DeleteRoute(r RouteInfo) error {
	m := nl.NewRtDelMsg() // main table, any scope, type and protocol
	parts := routeParts(m, r.Index, r.To, Route{Via: r.Via, Metric: r.Metric})
	m.Scope = unix.RT_SCOPE_NOWHERE
	err := h.requestAck(unix.RTM_DELROUTE, 0, parts...)
	if err != nil && !isErrno(err, unix.ESRCH) {
		return fmt.Errorf("delete route to %s%s: %w", r.To, r.Route().viaText(), err)
	}
	return nil
}

func routeMessage(index int, to netip.Prefix, r Route) []nl.NetlinkRequestData {
	m := nl.NewRtMsg() // main table, unicast, universe
	m.Protocol = unix.RTPROT_STATIC
	return routeParts(m, index, to, r)
}

// routeParts completes a message about a route.
func routeParts(m *nl.RtMsg, index int, to netip.Prefix, r Route) []nl.NetlinkRequestData {
	m.Family, m.Dst_len = uint8(family(to.Addr())), uint8(to.Bits())
	parts := []nl.NetlinkRequestData{m, attr32(unix.RTA_OIF, uint32(index))}
	if to.Bits() > 0 {
		parts = append(parts, nl.NewRtAttr(unix.RTA_DST, to.Masked().Addr().AsSlice()))
	}
	if r.Via.IsValid() {
		parts = append(parts, nl.NewRtAttr(unix.RTA_GATEWAY, r.Via.AsSlice()))
	} else if to.Addr().Is4() {
		m.Scope = unix.RT_SCOPE_LINK
	}
	if r.OnLink {
		m.Flags |= unix.RTNH_F_ONLINK
	}
	if r.Metric != 0 {
		parts = append(parts, attr32(unix.RTA_PRIORITY, uint32(r.Metric)))
	}
	return parts
}

func unspecifiedFor(a netip.Addr) netip.Addr {
	if a.Is4() {
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// HasDefaultRoute reports whether the main table has a default route.
func (h *Handle) HasDefaultRoute() (v4, v6 bool, err error) {
	m := &nl.RtMsg{} // AF_UNSPEC: all families
	answers, err := h.requestDump(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, m)
	if err != nil {
		return false, false, fmt.Errorf("list routes: %w", err)
	}
	for _, b := range answers {
		if len(b) < unix.SizeofRtMsg {
			continue
		}
		m := nl.DeserializeRtMsg(b)
		if m.Dst_len != 0 || m.Table != unix.RT_TABLE_MAIN || m.Type != unix.RTN_UNICAST {
			continue
		}
		v4 = v4 || m.Family == unix.AF_INET
		v6 = v6 || m.Family == unix.AF_INET6
	}
	return v4, v6, nil
}
