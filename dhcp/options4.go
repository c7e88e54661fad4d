package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"berth/specs"
)

// Bounds of the values that a lease takes over from a server.
const (
	maxRoutes  = 64
	maxServers = 8 // of DNS, NTP and routers, each
	maxDomains = 8
	maxDomain  = 253 // RFC 1035 section 2.3.4, as text
)

// setOptions4 sets the values of the options that berth uses or shows. Values that
// make no sense are dropped.
func (l *Lease) setOptions4(m *dhcpv4.DHCPv4) {
	l.Routers = l.usable4(m, dhcpv4.OptionRouter)
	l.DNS = l.usable4(m, dhcpv4.OptionDomainNameServer)
	l.NTP = l.usable4(m, dhcpv4.OptionNTPServers)
	l.Routes = l.classless(m)
	if len(l.Routes) == 0 {
		l.Routes = l.classful(m)
	}
	if raw := m.GetOneOption(dhcpv4.OptionInterfaceMTU); len(raw) == 2 {
		if mtu := int(raw[0])<<8 | int(raw[1]); mtu >= minMTU4 {
			l.MTU = mtu
		}
	}
	if domains := domainsOf(strings.TrimRight(string(m.GetOneOption(dhcpv4.OptionDomainName)), "\x00")); len(domains) > 0 {
		l.Domain = domains[0]
	}
	if raw := m.GetOneOption(dhcpv4.OptionDNSDomainSearchList); raw != nil {
		if labels, err := rfc1035label.FromBytes(raw); err == nil {
			l.Search = domainsOf(labels.Labels...)
		}
	}
}

// minMTU4 is the smallest MTU over which every IPv4 host receives a whole message
// (RFC 791 section 3.1). A smaller one would only slow the container down.
const minMTU4 = 576

// usable4 returns the addresses of an option that hosts other than the client can have.
func (l *Lease) usable4(m *dhcpv4.DHCPv4, o dhcpv4.OptionCode) (all []netip.Addr) {
	raw := m.GetOneOption(o)
	for ; len(raw) >= net.IPv4len && len(all) < maxServers; raw = raw[net.IPv4len:] {
		if a := netip.AddrFrom4([4]byte(raw)); l.canBe(a) && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	return all
}

// canBe reports whether another host can have an address.
func (l *Lease) canBe(a netip.Addr) bool {
	subnet := specs.Subnet{Subnet: l.Address.Masked()}
	return isUnicast4(a) && a != l.Address.Addr() && (!l.Address.Contains(a) || !subnet.Reserved(a))
}

// classless returns the routes of option 121 (RFC 3442). If one cannot be read, it
// returns none.
func (l *Lease) classless(m *dhcpv4.DHCPv4) (all []specs.Route) {
	var routes dhcpv4.Routes
	raw := m.GetOneOption(dhcpv4.OptionClasslessStaticRoute)
	if raw == nil || routes.FromBytes(raw) != nil {
		return nil
	}
	for _, r := range routes {
		ones, _ := r.Dest.Mask.Size()
		all = l.withRoute(all, netip.PrefixFrom(addr4(r.Dest.IP), ones).Masked(), addr4(r.Router))
	}
	return all
}

// classful returns the routes to hosts of option 33 (RFC 2132 section 5.8).
func (l *Lease) classful(m *dhcpv4.DHCPv4) (all []specs.Route) {
	raw := m.GetOneOption(dhcpv4.OptionStaticRoutingTable)
	for ; len(raw) >= 2*net.IPv4len; raw = raw[2*net.IPv4len:] {
		to := netip.AddrFrom4([4]byte(raw))
		if !to.IsUnspecified() { // a default route is not allowed here
			all = l.withRoute(all, netip.PrefixFrom(to, to.BitLen()), netip.AddrFrom4([4]byte(raw[net.IPv4len:])))
		}
	}
	return all
}

// withRoute adds a route unless it makes no sense. A router of 0.0.0.0 is on link
// (RFC 3442, "Local Subnet Routes").
func (l *Lease) withRoute(all []specs.Route, to netip.Prefix, via netip.Addr) []specs.Route {
	r := specs.Route{To: to, Via: via}
	if via.IsUnspecified() {
		r.Via = netip.Addr{}
	}
	known := slices.ContainsFunc(all, func(o specs.Route) bool { return o.To == to })
	switch {
	case known, len(all) == maxRoutes,
		r.Via.IsValid() && !l.canBe(r.Via),
		!r.Via.IsValid() && to.Bits() == 0,
		to.Bits() > 0 && specs.UnroutableReason(to) != "",
		to == l.Address.Masked():
		return all
	}
	return append(all, r)
}

// Gateway returns the lease's default gateway, or the zero address. If there are
// classless routes, only those count (RFC 3442, "DHCP Client Behavior").
func (l *Lease) Gateway() netip.Addr {
	for _, r := range l.Routes {
		if r.To.Bits() == 0 {
			return r.Via
		}
	}
	if len(l.Routers) == 0 || slices.ContainsFunc(l.Routes,
		func(r specs.Route) bool { return r.To.Bits() < r.To.Addr().BitLen() }) {
		return netip.Addr{}
	}
	return l.Routers[0]
}

// domainsOf returns those names that are domains: letters, digits, dots, hyphens
// and underscores.
func domainsOf(names ...string) (all []string) {
	for _, name := range names {
		name = strings.TrimSuffix(name, ".")
		if name == "" || len(name) > maxDomain || len(all) == maxDomains || strings.ContainsFunc(name, badInDomain) {
			continue
		}
		all = append(all, name)
	}
	return all
}

func badInDomain(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '-', r == '_':
		return false
	}
	return true
}
