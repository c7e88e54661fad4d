package hook

import (
	"context"
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// routesOf returns the routes of an interface once its addresses are known: the planned
// default routes and the network's static ones. A gateway outside of the subnets is reached
// on link.
func routesOf(in *Interface, addresses []netip.Prefix) []network.Route {
	var routes []network.Route
	for fam := range families {
		if gw := in.gatewayOf(fam, addresses); gw.IsValid() {
			routes = append(routes, network.Route{
				Via: gw, Metric: in.Net.Metric, OnLink: !subnetsContain(addresses, gw),
				Replace: in.Gateway[fam].IsValid(), // the selection requests it
			})
		}
	}
	for _, r := range in.Net.Routes {
		if !hasFamily(addresses, family(r.To.Addr())) {
			continue
		}
		onLink := r.Via.IsValid() && !subnetsContain(addresses, r.Via)
		routes = append(routes, network.Route{To: r.To, Via: r.Via, Metric: r.Metric, OnLink: onLink})
	}
	return routes
}

// gatewayOf returns the gateway of the interface's default route: the selection's, else that
// of the subnet that contains its address.
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

func subnetsContain(addresses []netip.Prefix, a netip.Addr) bool {
	for _, p := range addresses {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// recordedRoutes separates the gateways of the default routes from the static routes, as
// records and users see them.
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

// addRoute adds a route. If it replaces the engine's default route, whatever its metric, that
// route is restored by the undo or when the attachment is released. There is a default route
// at any time.
func (a *attaching) addRoute(ctx context.Context, r *state.Attachment, route network.Route) error {
	if !route.Replace {
		return a.inside.AddRoute(r.LinkIndex, route)
	}
	others, err := a.otherDefaults(r, route.Via)
	if err == nil && len(others) > 0 {
		err = a.noteDefaults(ctx, r, others)
	}
	if err == nil {
		err = a.inside.AddRoute(r.LinkIndex, route)
	}
	if err != nil || len(others) == 0 {
		return err
	}
	if others, err = a.otherDefaults(r, route.Via); err != nil { // the kernel replaces a route of the same metric
		return err
	}
	for _, old := range others {
		if err := a.inside.DeleteRoute(old); err != nil {
			return err
		}
	}
	return nil
}

// otherDefaults returns the default routes of a gateway's family that do not use the
// attachment's own interface.
func (a *attaching) otherDefaults(r *state.Attachment, via netip.Addr) ([]network.RouteInfo, error) {
	all, err := a.inside.Routes()
	return slices.DeleteFunc(all, func(old network.RouteInfo) bool {
		return old.To.Bits() != 0 || old.To.Addr().Is4() != via.Is4() || old.Index == r.LinkIndex
	}), err
}

// noteDefaults records default routes that are about to be replaced.
func (a *attaching) noteDefaults(ctx context.Context, r *state.Attachment, all []network.RouteInfo) error {
	for _, old := range all {
		r.Replaced = append(r.Replaced, state.Default(old))
		a.undo.push("replace the default route", func(context.Context) error { return a.restoreDefault(old) })
	}
	return a.Store.Update(ctx, func(tx *state.Tx) error { return tx.Put(r) })
}

// restoreDefault restores a default route. It replaces berth's route if that has the same metric.
func (a *attaching) restoreDefault(old network.RouteInfo) error {
	route := old.Route()
	route.Replace = true
	return a.inside.AddRoute(old.Index, route)
}
