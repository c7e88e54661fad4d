package ipam

import (
	"math"
	"math/bits"
	"net/netip"
	"slices"

	"berth/specs"
)

// Pool is the set of addresses of one subnet that this host may give out. It is
// pure arithmetic and immutable; a pool of 2^127 addresses costs no more than one
// of two.
type Pool struct {
	network string
	subnet  netip.Prefix
	given   netip.Prefix // the range of addresses that are given out without a request
	gateway netip.Addr
	exclude []specs.Exclusion
	never   []netip.Addr
	reuse   specs.Reuse
	shared  string // the domain, if nodes share the pool
}

// NewPool returns the pool of a subnet that has been checked. It never gives out
// the addresses in never (the host's own), even on request.
//
// It follows docker's rules: the network's own and the broadcast address are
// reserved (except in a /31, and of IPv6 the first one only, except in a /127),
// and so are the gateway and the exclusions; ip_range limits the addresses that
// are given out but not those that may be requested.
func NewPool(network string, s specs.Subnet, never []netip.Addr) *Pool {
	p := &Pool{network: network, subnet: s.Subnet.Masked(), given: s.Subnet.Masked(), gateway: s.Gateway,
		exclude: s.Exclude}
	if s.IPRange.IsValid() {
		p.given = s.IPRange.Masked()
	}
	return p.Without(never...)
}

// PoolOf returns the pool of a subnet of a network, with the network's order and domain.
func PoolOf(n *specs.Network, s specs.Subnet, never []netip.Addr) *Pool {
	p := NewPool(n.Name, s, never).WithReuse(n.Reuse)
	if n.Clustered() {
		p.shared = n.Domain
	}
	return p
}

// Shared returns the domain of a pool that nodes share, or "". Package lease leases only the
// parts of it that this node owns.
func (p *Pool) Shared() string { return p.shared }

// Within returns the part of a pool in a range. Its order and its reserved addresses are the
// pool's.
func (p *Pool) Within(part netip.Prefix) *Pool {
	q := *p
	if q.given = part.Masked(); !p.given.Overlaps(part) {
		q.given = netip.Prefix{}
	} else if part.Bits() < p.given.Bits() {
		q.given = p.given
	}
	return &q
}

// Without returns a pool that does not give out these addresses either, for
// example if another host has one.
func (p *Pool) Without(never ...netip.Addr) *Pool {
	q := *p
	q.never = slices.Clone(p.never)
	for _, a := range never {
		if a = a.Unmap().WithZone(""); p.subnet.Contains(a) {
			q.never = append(q.never, a)
		}
	}
	return &q
}

// WithReuse returns a pool that gives out its free addresses in another order.
func (p *Pool) WithReuse(order specs.Reuse) *Pool {
	q := *p
	q.reuse = order
	return &q
}

// Oldest reports whether a released address comes after all others. Package lease keeps the
// order of the releases.
func (p *Pool) Oldest() bool { return p.reuse == specs.ReuseOldest }

// Prefix returns the subnet.
func (p *Pool) Prefix() netip.Prefix { return p.subnet }

// Range returns the part of the subnet from which addresses are given out without
// a request: ip_range, or the whole subnet.
func (p *Pool) Range() netip.Prefix { return p.given }

// Network returns the name of the network, or "" if it is defined in place.
func (p *Pool) Network() string { return p.network }

// Size returns the number of addresses that an unused pool can give out, at most
// 2^64-1.
func (p *Pool) Size() uint64 {
	if !p.given.IsValid() {
		return 0
	}
	hi, lo := powerOf2(hostBits(p.given)) // of 128 bits
	for _, r := range p.reservedParts() {
		if hostBits(r) >= hostBits(p.given) {
			return 0
		}
		partHi, partLo := powerOf2(hostBits(r))
		var borrow uint64
		lo, borrow = bits.Sub64(lo, partLo, 0)
		hi, _ = bits.Sub64(hi, partHi, borrow)
	}
	if hi > 0 {
		return math.MaxUint64
	}
	return lo
}

// powerOf2 returns 2^n, n < 128, in two words.
func powerOf2(n int) (hi, lo uint64) {
	if n >= 64 {
		return 1 << (n - 64), 0
	}
	return 0, 1 << n
}

// reservedParts returns the disjoint parts of the range that are not given out.
func (p *Pool) reservedParts() []netip.Prefix {
	var all []netip.Prefix
	for _, e := range p.exclude {
		if e.Prefix.Overlaps(p.given) {
			all = append(all, e.Prefix)
		}
	}
	for _, a := range slices.Concat(p.never, []netip.Addr{p.gateway, p.subnet.Addr(), specs.LastAddr(p.subnet)}) {
		if p.given.Contains(a) && p.Reserved(a) != "" {
			all = append(all, specs.ExcludeAddr(a).Prefix)
		}
	}
	slices.SortFunc(all, func(a, b netip.Prefix) int { return a.Bits() - b.Bits() })
	var parts []netip.Prefix // of two prefixes that overlap, the shorter contains the other
	for _, r := range all {
		if !slices.ContainsFunc(parts, r.Overlaps) {
			parts = append(parts, r)
		}
	}
	return parts
}

func hostBits(p netip.Prefix) int { return p.Addr().BitLen() - p.Bits() }

// Allows reports whether an address may be requested: any in the subnet that is
// not reserved, inside the range or not. The error is a *specs.ValueError without
// a key.
func (p *Pool) Allows(a netip.Addr) error {
	if !p.subnet.Contains(a) {
		return specs.Unusable("", a.String(), "it is outside of the subnet %s", p.subnet)
	}
	if why := p.Reserved(a); why != "" {
		return specs.Unusable("", a.String(), "in the subnet %s it is %s", p.subnet, why)
	}
	return nil
}

// GivesOut reports whether an address may be given out without a request.
func (p *Pool) GivesOut(a netip.Addr) bool { return p.given.Contains(a) && p.Reserved(a) == "" }

// Reserved returns the reason for which an address of the subnet is never given
// out, or "" if it may be. A /31 and a /127 have two usable addresses (RFC 3021,
// RFC 6164); the first address of another IPv6 subnet is no host's (RFC 4291
// section 2.6.1).
func (p *Pool) Reserved(a netip.Addr) string {
	large := p.subnet.Addr().BitLen()-p.subnet.Bits() > 1
	switch {
	case large && a == p.subnet.Addr() && a.Is4():
		return "the network's own"
	case large && a == p.subnet.Addr():
		return "the anycast address of its routers"
	case large && a.Is4() && a == specs.LastAddr(p.subnet):
		return "the broadcast address"
	case a == p.gateway:
		return "the gateway"
	case p.widestExclusion(a).IsValid():
		return "excluded by the network"
	case slices.Contains(p.never, a):
		return "in use by this host or another"
	}
	return ""
}

// widestExclusion returns the widest exclusion that contains an address, or the zero
// Prefix if there is none.
func (p *Pool) widestExclusion(a netip.Addr) (widest netip.Prefix) {
	for _, e := range p.exclude {
		if e.Contains(a) && (!widest.IsValid() || e.Prefix.Bits() < widest.Bits()) {
			widest = e.Prefix
		}
	}
	return widest
}

// Next returns the lowest address of the range that is neither held nor reserved,
// or the zero Addr if there is none. free returns the lowest address at or above
// its argument that is not held. Reserved addresses are few, or in exclusions,
// which Next skips as a whole, so it seldom calls free.
func (p *Pool) Next(free func(from netip.Addr) netip.Addr) netip.Addr {
	for a := free(p.given.Addr()); p.given.Contains(a); a = free(a.Next()) {
		if p.Reserved(a) == "" {
			return a
		}
		if e := p.widestExclusion(a); e.IsValid() {
			a = specs.LastAddr(e)
		}
	}
	return netip.Addr{}
}
