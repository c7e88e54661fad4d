package check

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/drift"
	"berth/network"
	"berth/specs"
)

// checkAddresses compares the link's addresses with the record. It ignores IPv6 addresses that
// are link-local or router-given, which the kernel assigns.
func (j *attached) checkAddresses() {
	const check = "address"
	if j.seen.AddrErr != nil {
		j.addWarn(check, "run it as root", "not checked: %v", j.seen.AddrErr)
		return
	}
	before := len(j.lines)
	for _, want := range j.Addresses {
		j.checkAddress(want)
	}
	_, extra := drift.Addresses(j.Attachment, j.seen.Addresses)
	for _, has := range extra {
		j.addFail(check, j.nsenterCommand("addr del %s dev %s", has, j.Interface),
			"%s is assigned but not recorded: another container may get it", has)
	}
	if len(j.lines) == before {
		j.addPass(check, "%s", cmp.Or(prefixesText(j.Addresses), "none, as recorded"))
	}
}

// checkAddress checks for one recorded address; a pass gives no line.
func (j *attached) checkAddress(want netip.Prefix) {
	const check = "address"
	i := slices.IndexFunc(j.seen.Addresses, func(a network.AddressInfo) bool { return a.Prefix == want })
	switch {
	case i < 0:
		j.addFail(check, j.nsenterCommand("addr add %s dev %s", want, j.Interface), "%s is recorded but not assigned", want)
	case j.seen.Addresses[i].DADFailed:
		j.addFail(check, "find the other host that has it (ndisc6, the router's neighbour table), then "+j.restartText(),
			"%s is in use by another host: duplicate address detection failed", want)
	case j.seen.Addresses[i].Tentative:
		j.addFail(check, "wait a second and check again; it stays tentative while the parent has no link",
			"%s is tentative: the kernel is still checking that no other host has it", want)
	}
}

// checkRoutes checks for the recorded routes; the container may add others.
func (j *attached) checkRoutes() {
	const check = "routes"
	if len(j.wantedRoutes()) == 0 {
		return
	}
	if j.seen.RouteErr != nil {
		j.addWarn(check, "start a process in the container, and check again", "not checked: %v", j.seen.RouteErr)
		return
	}
	var there []string
	for _, route := range j.wantedRoutes() {
		text := routeText(route)
		if j.hasRoute(route) {
			there = append(there, text)
			continue
		}
		j.addFail(check, j.nsenterCommand("route add %s dev %s%s", text, j.Interface, j.onLink(route.Via)),
			"the route %s is missing%s", text, j.presentRouteText(route))
	}
	if len(there) == len(j.wantedRoutes()) {
		j.addPass(check, "%s", strings.Join(there, ", "))
	}
}

// hasRoute reports whether the route by the interface exists. A metric of 0 matches any:
// the kernel, or the network's file, sets its own.
func (j *attached) hasRoute(want specs.Route) bool {
	return slices.ContainsFunc(j.seen.Routes, func(r network.RouteInfo) bool {
		return r.Index == j.seen.Link.Index && r.To == want.To && r.Via == want.Via &&
			(want.Metric == 0 || r.Metric == want.Metric)
	})
}

// wantedRoutes returns the recorded routes, the default ones first.
func (j *attached) wantedRoutes() (all []specs.Route) {
	for _, gw := range j.Gateways {
		all = append(all, specs.Route{To: defaultOf(gw), Via: gw})
	}
	return append(all, j.Routes...)
}

// routeText returns a route in the syntax of ip(8).
func routeText(r specs.Route) string {
	text := r.To.String()
	if r.To.Bits() == 0 {
		text = "default"
	}
	if r.Via.IsValid() {
		text += " via " + r.Via.String()
	}
	if r.Metric != 0 {
		text += fmt.Sprintf(" metric %d", r.Metric)
	}
	return text
}

// onLink returns the option that ip(8) needs for a gateway that is in no subnet.
func (j *attached) onLink(via netip.Addr) string {
	inside := slices.ContainsFunc(j.Addresses, func(p netip.Prefix) bool { return p.Contains(via) })
	if !via.IsValid() || inside {
		return ""
	}
	return " onlink"
}

// presentRouteText returns a text on the present route to the destination.
func (j *attached) presentRouteText(want specs.Route) string {
	for _, r := range j.seen.Routes {
		if r.To != want.To {
			continue
		}
		text := routeText(specs.Route{To: r.To, Via: r.Via, Metric: r.Metric})
		if r.Index != j.seen.Link.Index {
			text += " on another interface"
		}
		return "; instead there is " + text
	}
	return ""
}

func defaultOf(gw netip.Addr) netip.Prefix {
	if gw.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func prefixesText(all []netip.Prefix) string {
	var words []string
	for _, p := range all {
		words = append(words, p.String())
	}
	return strings.Join(words, ", ")
}
