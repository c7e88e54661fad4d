package check

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"berth/network"
	"berth/specs"
)

// addresses compares what the link has with what was recorded. Link-local and
// router-given IPv6 addresses are the kernel's matter.
func (j *attached) addresses() {
	const check = "address"
	if j.seen.AddrErr != nil {
		j.warn(check, "run it as root", "not checked: %v", j.seen.AddrErr)
		return
	}
	before := len(j.lines)
	for _, want := range j.Addresses {
		j.address(want)
	}
	for _, has := range j.seen.Addresses {
		if slices.Contains(j.Addresses, has.Prefix) || !has.Permanent || has.Prefix.Addr().Is6() && has.Prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		j.fail(check, j.fix("addr del %s dev %s", has.Prefix, j.Interface),
			"%s is there and not recorded: another container may get it", has.Prefix)
	}
	if len(j.lines) == before {
		j.pass(check, "%s", cmp.Or(prefixes(j.Addresses), "none, as recorded"))
	}
}

// address looks for one recorded address; a pass is not told.
func (j *attached) address(want netip.Prefix) {
	const check = "address"
	i := slices.IndexFunc(j.seen.Addresses, func(a network.AddressInfo) bool { return a.Prefix == want })
	switch {
	case i < 0:
		j.fail(check, j.fix("addr add %s dev %s", want, j.Interface), "%s is recorded and not there", want)
	case j.seen.Addresses[i].DADFailed:
		j.fail(check, "find who else has it (ndisc6, the router's neighbour table), then "+j.restart(),
			"%s is in use by another host: duplicate address detection failed", want)
	case j.seen.Addresses[i].Tentative:
		j.fail(check, "wait a second and check again; a parent without link keeps it so", "%s is tentative: the kernel still probes for it", want)
	}
}

// routes looks for the recorded routes; further ones are the container's
// matter.
func (j *attached) routes() {
	const check = "routes"
	if len(j.Gateways)+len(j.Routes) == 0 {
		return
	}
	if j.seen.RouteErr != nil {
		j.warn(check, "start a process in the container, and check again", "not checked: %v", j.seen.RouteErr)
		return
	}
	var there []string
	for _, gw := range j.Gateways {
		if j.hasRoute(specs.Route{To: defaultOf(gw), Via: gw}) {
			there = append(there, "default via "+gw.String())
			continue
		}
		j.fail(check, j.fix("route add default via %s dev %s", gw, j.Interface), "no default route via %s%s", gw, j.instead(gw))
	}
	for _, route := range j.Routes {
		text := route.To.String()
		if route.Via.IsValid() {
			text += " via " + route.Via.String()
		}
		if j.hasRoute(route) {
			there = append(there, text)
			continue
		}
		j.fail(check, j.fix("route add %s dev %s", text, j.Interface), "no route to %s", text)
	}
	if len(there) == len(j.Gateways)+len(j.Routes) {
		j.pass(check, "%s", strings.Join(there, ", "))
	}
}

// hasRoute looks for a route by way of the interface. A metric of 0 is any:
// the kernel, or the network's file, has its own.
func (j *attached) hasRoute(want specs.Route) bool {
	return slices.ContainsFunc(j.seen.Routes, func(r network.RouteInfo) bool {
		return r.Index == j.seen.Link.Index && r.To == want.To && r.Via == want.Via && (want.Metric == 0 || r.Metric == want.Metric)
	})
}

// instead tells by which way the default route goes now.
func (j *attached) instead(gw netip.Addr) string {
	for _, r := range j.seen.Routes {
		if r.To == defaultOf(gw) && r.Via.IsValid() {
			return "; there is one via " + r.Via.String()
		}
	}
	return ""
}

func defaultOf(gw netip.Addr) netip.Prefix {
	if gw.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func prefixes(all []netip.Prefix) string {
	var words []string
	for _, p := range all {
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}
