package netavark

import (
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/specs"
)

// statusBlock is the answer to setup, which podman inspect shows.
type statusBlock struct {
	Interfaces map[string]netInterface `json:"interfaces"`
	DNS        []netip.Addr            `json:"dns_server_ips,omitempty"`
	Search     []string                `json:"dns_search_domains,omitempty"`
}

type netInterface struct {
	MAC     specs.MAC    `json:"mac_address"`
	Subnets []netAddress `json:"subnets"`
}

type netAddress struct {
	Address netip.Prefix `json:"ipnet"`
	Gateway netip.Addr   `json:"gateway,omitzero"`
}

// statusOf returns the status of an attachment. podman writes the resolvers of its DHCP
// leases into the container's resolv.conf.
func statusOf(a *state.Attachment) *statusBlock {
	one := netInterface{MAC: a.MAC, Subnets: []netAddress{}}
	for _, p := range a.Addresses {
		address := netAddress{Address: p}
		if i := slices.IndexFunc(a.Gateways, p.Contains); i >= 0 {
			address.Gateway = a.Gateways[i]
		}
		one.Subnets = append(one.Subnets, address)
	}
	s := &statusBlock{Interfaces: map[string]netInterface{a.Interface: one}}
	for _, c := range a.DHCP {
		if c.Lease == nil {
			continue
		}
		s.DNS = append(s.DNS, c.Lease.DNS...)
		s.Search = append(s.Search, c.Lease.Search...)
		if len(c.Lease.Search) == 0 && c.Lease.Domain != "" {
			s.Search = append(s.Search, c.Lease.Domain)
		}
	}
	return s
}
