package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"berth/specs"
)

// leaseTexts returns a text on each DHCP lease of an endpoint: how long it lasts, or why
// there is none.
func leaseTexts(e *specs.Endpoint, clock func() time.Time) (all []string) {
	if e.Phase == specs.PhaseEnded || len(e.DHCP) == 0 {
		return nil
	}
	now := clock()
	for _, d := range e.DHCP {
		name := "dhcp"
		if d.Family == "ipv6" {
			name = "dhcpv6"
		}
		switch {
		case d.Lease == nil && d.Lost == "":
			all = append(all, name+", no address")
		case d.Lease == nil:
			all = append(all, name+", lease lost: "+d.Lost)
		case d.Lease.Expires == nil:
			all = append(all, name+", without end")
		case !d.Lease.Expires.After(now):
			all = append(all, name+", ended "+ageText(now.Sub(*d.Lease.Expires))+" ago")
		default:
			all = append(all, name+", "+ageText(d.Lease.Expires.Sub(now))+" left")
		}
	}
	return all
}

// describeLease prints a lease as keys and values.
func describeLease(w io.Writer, l *specs.DHCPLease, now time.Time) {
	if l == nil {
		return
	}
	when := func(t time.Time) string { return t.In(now.Location()).Format("2006-01-02 15:04:05 MST") }
	server := l.Server.String()
	if !l.ServerMAC.IsZero() {
		server += " (" + l.ServerMAC.String() + ")"
	}
	times := fmt.Sprintf("since %s, renewed %s", when(l.Obtained), when(l.Renewed))
	if l.Expires != nil {
		times += ", until " + when(*l.Expires)
	}
	mtu := ""
	if l.MTU != 0 {
		mtu = fmt.Sprintf("MTU %d", l.MTU)
	}
	writeFields(w, [][2]string{
		{"  lease", l.Address.String() + " " + times},
		{"  server", server},
		{"  client id", l.ClientID},
		{"  hostname", l.Hostname},
		{"  routers", joinText(l.Routers)},
		{"  routes", routesText(l.Routes)},
		{"  DNS", joinText(l.DNS)},
		{"  domains", strings.Join(domainsOf(l), ", ")},
		{"  NTP", joinText(l.NTP)},
		{"  asks for", mtu},
	})
}

// describeOptions prints the answer of a server that leases no address.
func describeOptions(w io.Writer, o *specs.DHCPOptions) {
	if o == nil {
		return
	}
	writeFields(w, [][2]string{
		{"  server", o.Server.String()},
		{"  DNS", joinText(o.DNS)},
		{"  domains", strings.Join(o.Search, ", ")},
		{"  NTP", joinText(o.NTP)},
	})
}

// domainsOf returns the domain of a lease and those in which names are searched.
func domainsOf(l *specs.DHCPLease) (all []string) {
	if l.Domain != "" {
		all = append(all, l.Domain)
	}
	return append(all, l.Search...)
}
