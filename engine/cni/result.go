package cni

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	result "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"

	"berth/internal/state"
)

// previousResult returns the result of the plugins before this one, or an empty one.
func (c *call) previousResult() (*result.Result, error) {
	if c.PrevResult == nil {
		return &result.Result{CNIVersion: result.ImplementedSpecVersion}, nil
	}
	previous, err := parseResult(c.PrevResult, c.Version)
	if err != nil {
		return nil, coded(codeDecoding, fmt.Errorf("prevResult: %w", err))
	}
	return previous, nil
}

// parseResult reads a result of a version. Before 1.0.0 a result need not have a version.
// Lists with null are refused, because the library's conversions do not expect them.
func parseResult(data json.RawMessage, protocol string) (*result.Result, error) {
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, err
	}
	for _, key := range []string{"interfaces", "ips", "routes"} {
		list, _ := object[key].([]any)
		if slices.Contains(list, nil) {
			return nil, fmt.Errorf("%s has null in it", key)
		}
	}
	if object["cniVersion"] == nil {
		object["cniVersion"] = protocol
	}
	data, err := json.Marshal(object)
	if err != nil {
		return nil, err
	}
	r, err := create.Create(protocol, data)
	if err != nil {
		return nil, err
	}
	return result.NewResultFromResult(r)
}

// resultOf adds an attachment to a result, and returns it in the version of the call.
func resultOf(c *call, a *state.Attachment, r *result.Result) (types.Result, error) {
	one := &result.Interface{Name: a.Interface, Mac: a.MAC.String(), Sandbox: c.netNS}
	if c.Version == result.ImplementedSpecVersion {
		one.Mtu = a.MTU // new in 1.1.0
	}
	index := len(r.Interfaces)
	r.Interfaces = append(r.Interfaces, one)
	for _, p := range a.Addresses {
		r.IPs = append(r.IPs, &result.IPConfig{Interface: result.Int(index), Address: ipNet(p), Gateway: gatewayIn(a, p)})
	}
	for _, gw := range a.Gateways {
		r.Routes = append(r.Routes, &types.Route{Dst: ipNet(defaultOf(gw)), GW: gw.AsSlice()})
	}
	for _, route := range a.Routes {
		r.Routes = append(r.Routes, &types.Route{Dst: ipNet(route.To), GW: route.Via.AsSlice()})
	}
	if r.DNS.IsEmpty() {
		r.DNS = dnsOf(a)
	}
	return r.GetAsVersion(c.Version)
}

// dnsOf returns the resolvers and domains of the attachment's DHCP leases.
func dnsOf(a *state.Attachment) (dns types.DNS) {
	for _, client := range a.DHCP {
		l := client.Lease
		if l == nil {
			continue
		}
		for _, server := range l.DNS {
			dns.Nameservers = append(dns.Nameservers, server.String())
		}
		dns.Domain = cmp.Or(dns.Domain, l.Domain)
		dns.Search = append(dns.Search, l.Search...)
	}
	return dns
}

// gatewayIn returns the gateway of the default route in the subnet of an address, or nil.
func gatewayIn(a *state.Attachment, p netip.Prefix) net.IP {
	i := slices.IndexFunc(a.Gateways, p.Contains)
	if i < 0 {
		return nil
	}
	return a.Gateways[i].AsSlice()
}

func defaultOf(gw netip.Addr) netip.Prefix {
	if gw.Is4() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
}

func ipNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
