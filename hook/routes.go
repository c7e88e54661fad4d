package hook

import (
	"net/netip"

	"berth/network"
	"berth/specs"
)

// routesOf decides the routes of an interface that has got its addresses: the
// default routes that the plan gave it, and the network's static ones. A
// gateway outside of the subnets is reached on link.
func routesOf(in *Interface, addresses []netip.Prefix) []network.Route {
	var routes []network.Route
	for fam := range families {
		if gw := in.gatewayOf(fam, addresses); gw.IsValid() {
			routes = append(routes, network.Route{Via: gw, Metric: in.Net.Metric, OnLink: !covered(addresses, gw)})
		}
	}
	for _, r := range in.Net.Routes {
		if !hasFamily(addresses, family(r.To.Addr())) {
			continue
		}
		onLink := r.Via.IsValid() && !covered(addresses, r.Via)
		routes = append(routes, network.Route{To: r.To, Via: r.Via, Metric: r.Metric, OnLink: onLink})
	}
	return routes
}

// gatewayOf returns the gateway of the interface's default route: the
// selection's, else that of the subnet which its address is from.
func (in *Interface) gatewayOf(fam int, addresses []netip.Prefix) netip.Addr {
	if !in.Default[fam] {
		return netip.Addr{}
	}
	if gw := in.Gateway[fam]; gw.IsValid() {
		return gw
	}
	for _, p := range addresses {
		if s := in.Net.SubnetOf(p.Addr()); s != nil && family(p.Addr()) == fam && s.Gateway.IsValid() {
			return s.Gateway
		}
	}
	return netip.Addr{}
}

func covered(addresses []netip.Prefix, a netip.Addr) bool {
	for _, p := range addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// recordedRoutes parts the default routes' gateways from the static routes, as
// records and users have them.
func recordedRoutes(all []network.Route) (gateways []netip.Addr, routes []specs.Route) {
	for _, r := range all {
		if !r.To.IsValid() {
			gateways = append(gateways, r.Via)
			continue
		}
		routes = append(routes, specs.Route{To: r.To, Via: r.Via, Metric: r.Metric})
	}
	return gateways, routes
}
