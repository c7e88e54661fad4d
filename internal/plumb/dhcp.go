package plumb

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"berth/dhcp"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Client returns the DHCP client of a record, with its lease if it has one. foreign
// is as in [dhcp.Config4].
func Client(a *state.Attachment, c *state.DHCPClient, foreign func(netip.Addr) string) dhcp.Client {
	random := rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	l := Lease(c)
	if c.IPv6 {
		cfg := dhcp.Config6{MAC: a.MAC, DUID: c.ClientID, IAID: c.IAID, Hostname: c.Hostname,
			Random: random, Foreign: foreign}
		if l == nil {
			return dhcp.New6(cfg)
		}
		return dhcp.Resume6(cfg, l)
	}
	cfg := dhcp.Config4{MAC: a.MAC, ClientID: c.ClientID, Hostname: c.Hostname, Broadcast: c.Broadcast,
		Random: random, Foreign: foreign}
	if l == nil {
		return dhcp.New4(cfg)
	}
	return dhcp.Resume4(cfg, l)
}

// Lease returns the lease of a record, or nil if it has none.
func Lease(c *state.DHCPClient) *dhcp.Lease {
	if c.Lease == nil {
		return nil
	}
	return &dhcp.Lease{DHCPLease: *c.Lease, Began: c.Began}
}

// SetLease sets the lease of a record, with its times by the clock on the wall. now
// is the time by CLOCK_BOOTTIME.
func SetLease(c *state.DHCPClient, l *dhcp.Lease, now time.Duration) {
	wall := time.Now().UTC()
	l.Renewed = wall
	if l.Obtained.IsZero() {
		l.Obtained = wall
	}
	l.Expires = nil
	if ends, ok := l.Ends(); ok {
		l.Expires = new(wall.Add(ends - now).Round(time.Second))
	}
	stored := l.DHCPLease
	c.Lease, c.Began, c.Last, c.Lost = &stored, l.Began, l.Address.Addr(), ""
}

// Lifetimes returns the rest of a lease's lifetimes.
func Lifetimes(l *dhcp.Lease, now time.Duration) network.Lifetimes {
	return network.Lifetimes{Valid: l.Left(l.Lifetime, now), Preferred: l.Left(l.Preferred, now)}
}

// wide is the prefix length below which a route counts as part of a default route: two routes
// with a prefix length of 1 are equivalent to one.
const wide = 8

// LeaseRoutes returns the routes of a lease: its gateway if the interface has the
// default route, and its other routes. A gateway outside of the subnet is reached on
// link.
func LeaseRoutes(l *dhcp.Lease, c *state.DHCPClient) (all []network.Route) {
	onLink := func(via netip.Addr) bool { return via.IsValid() && !l.Address.Contains(via) }
	if gw := l.Gateway(); c.Default && gw.IsValid() {
		all = append(all, network.Route{Via: gw, Metric: c.Metric, OnLink: onLink(gw)})
	}
	for _, r := range l.Routes {
		if r.To.Bits() >= wide || c.Default && r.To.Bits() > 0 {
			all = append(all, network.Route{To: r.To, Via: r.Via, Metric: r.Metric, OnLink: onLink(r.Via)})
		}
	}
	return all
}

// LeaseMTU returns the MTU of an interface with the lease of one of its clients: the server's if
// it is below the network's and does not take IPv6 from the interface, else the network's. DHCPv6
// has no MTU.
func LeaseMTU(a *state.Attachment, c *state.DHCPClient) int {
	most := c.MTU
	if c.IPv6 || most == 0 { // 0 in a record of an earlier version
		most = a.MTU
	}
	hasIPv6 := a.IPv6 != specs.IPv6Off ||
		slices.ContainsFunc(a.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
	if c.Lease == nil || c.Lease.MTU == 0 || c.Lease.MTU >= most || hasIPv6 && c.Lease.MTU < specs.MinMTUv6 {
		return most
	}
	return c.Lease.MTU
}

// ClaimFromDHCP claims an address that a DHCP server leased, in whichever subnet. The
// error is a *lease.InUseError if another attachment holds the address.
func (s *Stake) ClaimFromDHCP(tx *state.Tx, a netip.Addr) error {
	return lease.In(tx, s.Domain).ClaimAddr(a, s.Owner)
}

// Addresses returns a record's addresses with one in place of another. Either may be
// the zero prefix.
func Addresses(all []netip.Prefix, old, next netip.Prefix) (changed []netip.Prefix) {
	for _, p := range all {
		if p != old && p != next {
			changed = append(changed, p)
		}
	}
	if next.IsValid() {
		changed = append(changed, next)
	}
	return changed
}

// IsFromDHCP reports whether an address is among the DHCP leases of a record.
func IsFromDHCP(a *state.Attachment, p netip.Prefix) bool {
	for i := range a.DHCP {
		if l := a.DHCP[i].Lease; l != nil && l.Address == p {
			return true
		}
	}
	return false
}
