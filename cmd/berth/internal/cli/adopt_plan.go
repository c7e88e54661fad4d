package cli

import (
	"fmt"
	"net/netip"
	"slices"

	"berth/internal/foreign"
	"berth/ipam"
	"berth/specs"
)

// maxExclusions is the number of exclusions that a subnet may have.
const maxExclusions = 256

// adoptNetwork returns a network of berth's with the settings of another program's. It excludes
// the addresses in use. The notes list the differences.
func adoptNetwork(f *foreign.Network, name string, inUse []netip.Addr) (n *specs.Network, notes []string, err error) {
	if f.Parent == "" {
		return nil, nil, fmt.Errorf("network %q names no parent: its program chooses one; create the network by berth "+
			"network create", f.Name)
	}
	n = &specs.Network{Name: name, Driver: f.Driver, Mode: f.Mode, IPvlanFlag: f.Flag, Parent: f.Parent, MTU: f.MTU,
		Metric: f.Metric, Routes: f.Routes}
	if f.NoRoute {
		n.DefaultRoute = new(bool)
	}
	if _, _, isVLAN := specs.SplitVLAN(f.Parent); isVLAN && f.Name.Engine == specs.EngineDocker {
		notes = append(notes, fmt.Sprintf("if docker made the VLAN %s, it deletes it with the network %s, and with it the "+
			"interfaces of berth's containers: restart those then", f.Parent, f.Name.Name))
	}
	switch {
	case f.IPAM == specs.IPAMDHCP:
		n.IPAM = specs.IPAMDHCP
	case len(f.Subnets) == 0:
		n.IPAM = specs.IPAMNone
		if f.IPAM != specs.IPAMNone {
			notes = append(notes, "containers get no addresses, because another plugin gives them out; add a subnet to the "+
				"network's file")
		}
	default:
		n.IPAM = f.IPAM
		for i := range f.Subnets {
			s, more := adoptSubnet(&f.Subnets[i], inUse)
			n.Subnets, notes = append(n.Subnets, s), append(notes, more...)
			if !s.Gateway.IsValid() && !f.NoRoute && f.Mode != specs.ModeL3 && f.Mode != specs.ModeL3S {
				notes = append(notes, fmt.Sprintf("containers get no default route through %s, because its gateway is not "+
					"known; add it to the network's file", s.Subnet))
			}
		}
	}
	n.SetDefaults()
	if err := n.Check(); err != nil {
		return nil, nil, fmt.Errorf("network %q cannot be adopted as it is: %w", f.Name, err)
	}
	return n, notes, nil
}

// adoptSubnet converts a subnet. berth's range is a prefix, so the addresses of the prefix that are
// outside of the other program's range are excluded.
func adoptSubnet(f *foreign.Subnet, inUse []netip.Addr) (s specs.Subnet, notes []string) {
	s = specs.Subnet{Subnet: f.Subnet, Gateway: f.Gateway}
	given := smallestPrefix(f.From, f.To)
	if given.Bits() < f.Subnet.Bits() {
		given = f.Subnet
	}
	if given != f.Subnet {
		s.IPRange = given
	}
	outside := append(splitRange(given.Addr(), f.From.Prev(), given),
		splitRange(f.To.Next(), specs.LastAddr(given), given)...)
	pool := ipam.NewPool("", specs.Subnet{Subnet: f.Subnet, Gateway: f.Gateway}, nil)
	for _, p := range outside {
		if !p.IsSingleIP() || pool.Reserved(p.Addr()) == "" {
			s.Exclude = append(s.Exclude, specs.Exclusion{Prefix: p})
		}
	}
	var taken []specs.Exclusion
	for _, a := range slices.SortedFunc(slices.Values(slices.Concat(f.Reserved, inUse)), netip.Addr.Compare) {
		e := specs.ExcludeAddr(a)
		isExcluded := slices.ContainsFunc(s.Exclude, func(o specs.Exclusion) bool { return o.Contains(a) })
		if given.Contains(a) && a != f.Gateway && !isExcluded && !slices.Contains(taken, e) {
			taken = append(taken, e)
		}
	}
	if len(s.Exclude)+len(taken) > maxExclusions {
		return s, []string{fmt.Sprintf("%d addresses of %s are in use, too many to exclude: berth leaves them out as long "+
			"as the agent runs", len(taken), f.Subnet)}
	}
	s.Exclude = append(s.Exclude, taken...)
	return s, nil
}

// smallestPrefix returns the smallest prefix that contains two addresses.
func smallestPrefix(from, to netip.Addr) netip.Prefix {
	for bits := from.BitLen(); ; bits-- {
		if p := netip.PrefixFrom(from, bits).Masked(); p.Contains(to) || bits == 0 {
			return p
		}
	}
}

// splitRange returns the fewest prefixes that together are the addresses from one to another,
// inside a prefix. It returns none if the first is after the last.
func splitRange(from, to netip.Addr, inside netip.Prefix) (all []netip.Prefix) {
	for from.IsValid() && to.IsValid() && inside.Contains(from) && inside.Contains(to) && !to.Less(from) {
		widest := netip.PrefixFrom(from, from.BitLen())
		for widest.Bits() > 0 {
			p := netip.PrefixFrom(from, widest.Bits()-1)
			if p.Masked().Addr() != from || to.Less(specs.LastAddr(p)) {
				break
			}
			widest = p
		}
		all = append(all, widest)
		from = specs.LastAddr(widest).Next()
	}
	return all
}
