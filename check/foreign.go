package check

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/foreign"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// readForeign takes the addresses of other programs.
func (s *survey) readForeign(tx *state.Tx) error {
	for f, err := range tx.ForeignAddresses(netip.IPv6Unspecified()) {
		if err != nil {
			return err
		}
		s.foreign = append(s.foreign, f)
	}
	return nil
}

// foreignOn returns the addresses of other programs on a parent.
func (s *survey) foreignOn(parentIndex int) []state.ForeignAddress {
	return slices.DeleteFunc(slices.Clone(s.foreign), func(f state.ForeignAddress) bool {
		return f.ParentIndex != 0 && f.ParentIndex != parentIndex
	})
}

// readPools reads the networks of other programs once.
func (s *survey) readPools() {
	files, err := foreign.ReadNetworks(foreign.UsualDefinitions(s.Root))
	s.pools, s.unreadPools = files, err
	if s.DockerNetworks == nil {
		return
	}
	dockers, err := s.DockerNetworks()
	s.pools, s.unreadPools = append(s.pools, dockers...), errors.Join(s.unreadPools, err)
}

// A line names up to manyForeign addresses; its remedy is an exclusion of up to manyExcluded.
const (
	manyForeign  = 4
	manyExcluded = 16
)

// judgeForeign warns of addresses that a network would give out if another program did not have
// them.
func judgeForeign(r *report, n Network) {
	if n.IPAM != specs.IPAMLocal && !n.Clustered() {
		return
	}
	var texts, excluded []string
	for _, f := range n.Foreign {
		if slices.ContainsFunc(n.Subnets, func(s specs.Subnet) bool {
			return ipam.PoolOf(n.Network, s,
				n.Host).GivesOut(f.Addr)
		}) {
			texts = append(texts, fmt.Sprintf("%s has %s", f.Holder, f.Addr))
			excluded = append(excluded, fmt.Sprintf("%q", f.Addr))
		}
	}
	if len(texts) == 0 {
		return
	}
	named, more := min(len(texts), manyForeign), ""
	if len(texts) > named {
		more = fmt.Sprintf(", and %d more", len(texts)-named)
	}
	remedy := "in the subnet of the network's file, set an ip_range that the other program does not use"
	if len(excluded) <= manyExcluded {
		remedy += fmt.Sprintf(", or add %s to its exclude", strings.Join(excluded, ", "))
	}
	r.addWarn("foreign", remedy, "other programs have addresses of the network's range, which it gives out only after "+
		"they are released: %s%s",
		strings.Join(texts[:named], ", "), more)
}

// judgePools warns of networks of other programs that give out addresses of a network on the same
// parent: neither program knows what the other will give out next.
func judgePools(r *report, n Network) {
	if n.IPAM != specs.IPAMLocal {
		return
	}
	for i := range n.Pools {
		p := &n.Pools[i]
		for _, theirs := range p.Subnets {
			for _, s := range n.Subnets {
				own := rangeOf(s)
				from, to := later(theirs.From, own.Addr()), earlier(theirs.To, specs.LastAddr(own))
				if p.IPAM != specs.IPAMLocal || theirs.From.Is4() != own.Addr().Is4() || to.Less(from) {
					continue
				}
				r.addWarn("pools", fmt.Sprintf("set an ip_range in the network's file, or one for %s, so that the ranges are "+
					"apart; or move its containers to berth: "+commandText("berth adopt %s", p.Name), p.Name),
					"%s also gives out %s to %s of this network's range, on the same parent", p.Name, from, to)
			}
		}
	}
}

func later(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return b
	}
	return a
}

func earlier(a, b netip.Addr) netip.Addr {
	if a.Less(b) {
		return a
	}
	return b
}
