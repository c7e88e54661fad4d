package network

import (
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// RouteInfo is a unicast route of the main table. If a route has several next hops,
// it is the first.
type RouteInfo struct {
	To     netip.Prefix // 0.0.0.0/0 or ::/0 for a default route
	Via    netip.Addr   // zero if To is reached directly
	Metric int          // never 0 for IPv6
	Index  int          // index of the link
}

// Route returns the route that adds the same route again, with its gateway on link.
func (r RouteInfo) Route() Route {
	return Route{To: r.To, Via: r.Via, Metric: r.Metric, OnLink: r.Via.IsValid()}
}

// Routes returns the unicast routes of the main table of the handle's
// namespace.
func (h *Handle) Routes() ([]RouteInfo, error) {
	answers, err := h.requestDump(unix.RTM_GETROUTE, unix.RTM_NEWROUTE, &nl.RtMsg{}) // AF_UNSPEC: all families
	if err != nil {
		return nil, fmt.Errorf("list routes: %w", err)
	}
	var all []RouteInfo
	for _, b := range answers {
		if r, ok := parseRoute(b); ok {
			all = append(all, r)
		}
	}
	return all, nil
}

// parseRoute parses the payload of an RTM_NEWROUTE message. It returns false for any
// other kind of route.
func parseRoute(b []byte) (r RouteInfo, ok bool) {
	if len(b) < unix.SizeofRtMsg {
		return r, false
	}
	m := nl.DeserializeRtMsg(b)
	table, to := uint32(m.Table), netip.IPv4Unspecified()
	switch {
	case m.Family == unix.AF_INET6:
		to = netip.IPv6Unspecified()
	case m.Family != unix.AF_INET:
		return r, false
	}
	for kind, v := range attributes(b[unix.SizeofRtMsg:]) {
		switch kind {
		case unix.RTA_TABLE:
			table = uint32(parseNumber(v))
		case unix.RTA_DST:
			to, _ = netip.AddrFromSlice(v)
		case unix.RTA_MULTIPATH: // struct rtnexthop, then its attributes
			if len(v) >= unix.SizeofRtNexthop {
				r.parseHop(v[unix.SizeofRtNexthop:min(len(v), max(unix.SizeofRtNexthop, int(parseNumber(v[:2]))))])
				r.Index = int(parseNumber(v[4:8]))
			}
		}
	}
	r.parseHop(b[unix.SizeofRtMsg:])
	r.To = netip.PrefixFrom(to, int(m.Dst_len))
	return r, r.To.IsValid() && m.Type == unix.RTN_UNICAST && table == unix.RT_TABLE_MAIN
}

// parseHop parses the attributes of a next hop.
func (r *RouteInfo) parseHop(b []byte) {
	for kind, v := range attributes(b) {
		switch kind {
		case unix.RTA_OIF:
			r.Index = int(parseNumber(v))
		case unix.RTA_GATEWAY:
			r.Via, _ = netip.AddrFromSlice(v)
		case unix.RTA_PRIORITY:
			r.Metric = int(parseNumber(v))
		}
	}
}
