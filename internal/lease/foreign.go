package lease

import (
	"fmt"
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// isForeign reports whether another program has given an address to a container in the domain.
// Such an address is not given out, but may be requested: then the probe decides. The record of a
// damaged address counts as held.
func (l *Leases) isForeign(a netip.Addr) bool {
	for f, err := range l.tx.ForeignAddresses(a) {
		if err == nil && f.Addr != a {
			return false
		}
		if err != nil || l.countsInDomain(&f) {
			return true
		}
	}
	return false
}

// countsInDomain reports whether an address of another program's container is held in the
// domain. The parent of a VLAN may not exist yet, so that its index is unknown; any parent counts
// then.
func (l *Leases) countsInDomain(f *state.ForeignAddress) bool {
	var parent, vlan int
	if n, _ := fmt.Sscanf(l.domain, "%d.%d", &parent, &vlan); n != 2 || vlan != 0 {
		return true
	}
	return f.ParentIndex == 0 || f.ParentIndex == parent
}

// ForeignIn returns the addresses of the pool that are not given out because another program
// has them.
func (l *Leases) ForeignIn(p *ipam.Pool) (all []state.ForeignAddress, err error) {
	last, parts := specs.LastAddr(p.Range()), l.partsOf(p)
	for f, err := range l.tx.ForeignAddresses(p.Range().Addr()) {
		if err != nil {
			return nil, err
		}
		if last.Less(f.Addr) || !p.Range().Contains(f.Addr) {
			break
		}
		known := len(all) > 0 && all[len(all)-1].Addr == f.Addr
		given := slices.ContainsFunc(parts, func(part *ipam.Pool) bool { return part.GivesOut(f.Addr) })
		if !known && given && l.countsInDomain(&f) && !l.held.Has(addrKey(f.Addr)) {
			all = append(all, f)
		}
	}
	return all, nil
}
