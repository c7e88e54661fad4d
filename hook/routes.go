package hook

import (
	"context"
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
			routes = append(routes, network.Route{
				Via: gw, Metric: in.Net.Metric, OnLink: !covered(addresses, gw),
				Replace: in.Gateway[fam].IsValid(), // the selection says so
			})
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

// addRoute adds a route. One that takes the place of the engine's default route
// gives it back when it is undone.
func (a *attaching) addRoute(index int, r network.Route) error {
	if r.Replace {
		there, err := a.inside.Routes()
		if err != nil {
			return err
		}
		for _, old := range there {
			if old.To.Bits() == 0 && old.To.Addr().Is4() == r.Via.Is4() && old.Index != index {
				a.undo.push("replace the default route", func(context.Context) error { return a.restore(old) })
			}
		}
	}
	return a.inside.AddRoute(index, r)
}

// restore puts a default route back, in place of ours if that has its metric.
func (a *attaching) restore(old network.RouteInfo) error {
	return a.inside.AddRoute(old.Index, network.Route{
		To: old.To, Via: old.Via, Metric: old.Metric, OnLink: old.Via.IsValid(), Replace: true,
	})
}
