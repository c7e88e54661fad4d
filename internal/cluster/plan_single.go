package cluster

import (
	"maps"
	"slices"
)

// planStatics takes the requested static addresses and gives back the others.
func (p *planner) planStatics() {
	wanted := map[string]bool{}
	for _, a := range slices.AppendSeq(slices.Clone(p.Wanted), maps.Keys(p.Leased)) {
		if _, inRange := p.Blocks.Of(a); !inRange {
			wanted[p.Domain.staticKey(a)] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		if c := p.View.Claims[key]; p.held[key] == 0 && (c.Node == p.Node || !p.claimed(key)) {
			p.add(Take, Claim{Key: key, Revision: c.Revision})
		}
	}
	for _, c := range append(p.unusedOwn(), p.heldClaims()...) {
		if p.Domain.isStatic(c.Key) && !wanted[c.Key] && !p.planned(c.Key) {
			p.add(GiveBack, c)
		}
	}
}

func (p *planner) claimed(key string) bool { _, ok := p.View.Claims[key]; return ok }

func (p *planner) heldClaims() (all []Claim) {
	for key, revision := range p.held {
		all = append(all, Claim{Key: key, Revision: revision})
	}
	return sorted(all)
}

// planMAC takes a MAC prefix if this node has none. A prefix in use is never given back: a
// MAC may be in the tables of switches and in leases of DHCP servers for long.
func (p *planner) planMAC() {
	has := false
	for _, c := range p.heldClaims() {
		has = has || p.Domain.isMAC(c.Key)
	}
	for _, c := range p.unusedOwn() {
		switch {
		case !p.Domain.isMAC(c.Key):
		case has: // the answer to its claim was lost, and another was taken
			p.add(GiveBack, c)
		default:
			p.add(Take, c)
			has = true
		}
	}
	if !has {
		p.takeMAC()
	}
}

func (p *planner) takeMAC() {
	first, stride := seeds(p.Node)
	for i := range uint64(1 << 16) {
		at := first + i*stride
		prefix := MACPrefix{byte(at >> 8), byte(at)}
		// Docker's own MACs begin with 02:42.
		if key := p.Domain.macKey(prefix); prefix[0] != 0x42 && !p.claimed(key) {
			p.add(Take, Claim{Key: key})
			return
		}
	}
}
