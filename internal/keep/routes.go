package keep

import (
	"net/netip"
	"slices"

	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

func (w *work) deleteRoute(r network.Route) error {
	to := r.To
	if !to.IsValid() {
		to = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return w.inside.DeleteRoute(network.RouteInfo{Index: w.a.LinkIndex, To: to, Via: r.Via, Metric: r.Metric})
}

// leaseRoutes returns the routes of all leases of an attachment.
func leaseRoutes(a *state.Attachment) (all []network.Route) {
	for i := range a.DHCP {
		if l := plumb.Lease(&a.DHCP[i]); l != nil {
			all = append(all, plumb.LeaseRoutes(l, &a.DHCP[i])...)
		}
	}
	return all
}

// replaceRoutes replaces the recorded routes of leases.
func replaceRoutes(a *state.Attachment, old, next []network.Route) {
	if slices.Equal(old, next) {
		return
	}
	for _, r := range old {
		if !r.To.IsValid() {
			a.Gateways = slices.DeleteFunc(a.Gateways, func(gw netip.Addr) bool { return gw == r.Via })
			continue
		}
		a.Routes = slices.DeleteFunc(a.Routes, func(o specs.Route) bool {
			return o == specs.Route{To: r.To, Via: r.Via,
				Metric: r.Metric}
		})
	}
	for _, r := range next {
		if !r.To.IsValid() {
			a.Gateways = append(a.Gateways, r.Via)
			continue
		}
		a.Routes = append(a.Routes, specs.Route{To: r.To, Via: r.Via, Metric: r.Metric})
	}
}
