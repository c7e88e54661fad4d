package plumb

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
)

// ErrConflict is wrapped if another machine on the LAN has the address.
var ErrConflict = errors.New("the address is in use on the LAN")

// maxConflicts bounds the rounds of probes: after so many addresses of a pool in
// use, the interface fails.
const maxConflicts = 64

// Settle probes for the addresses of interfaces before they are used, all at
// once. If the LAN has one, replace leases another in its place and returns that one, to
// probe for it next; its error ends the probing. A timeout of 0 turns probing off.
func Settle(ctx context.Context, ns *network.Namespace, timeout time.Duration, all []network.Claimant,
	replace func(network.Conflict) (netip.Addr, error)) error {
	for range maxConflicts {
		if timeout == 0 || len(all) == 0 {
			return nil
		}
		conflicts, err := network.Probe(ctx, ns, all, timeout)
		if err != nil {
			return fmt.Errorf("probe for addresses: %w", err)
		}
		next := make(map[string][]netip.Addr)
		for _, c := range conflicts {
			addr, err := replace(c)
			if err != nil {
				return err
			}
			next[c.Interface] = append(next[c.Interface], addr)
		}
		all = withAddresses(all, next)
	}
	return fmt.Errorf("%w: %d addresses of the pool in a row; set ip_range to a part of the subnet that only this host "+
		"uses",
		ErrConflict, maxConflicts)
}

// withAddresses returns the claimants that have addresses in the map, by
// interface, with those only.
func withAddresses(all []network.Claimant, addresses map[string][]netip.Addr) (left []network.Claimant) {
	for _, c := range all {
		if c.Addresses = addresses[c.Name]; len(c.Addresses) > 0 {
			left = append(left, c)
		}
	}
	return left
}

// Taken returns the error of a conflict over a requested address, for which there
// is no other.
func Taken(c network.Conflict) error {
	return fmt.Errorf("%w: %s belongs to %s; request another, or remove it from that machine", ErrConflict, c.Addr, c.MAC)
}

// Replace leases an address of the pools in place of one that the LAN has. It
// returns the new address, and the record's addresses with the new one in place
// of the old. The old one stays leased (see [Rejected]).
func (s *Stake) Replace(tx *state.Tx, pools []*ipam.Pool, addresses []netip.Prefix, c network.Conflict) (
	next netip.Addr, all []netip.Prefix, err error) {
	p, err := s.Take(tx, pools)
	if err != nil {
		return next, nil, fmt.Errorf("%w: %s belongs to %s; %w", ErrConflict, c.Addr, c.MAC, err)
	}
	all = make([]netip.Prefix, len(addresses))
	for i, old := range addresses {
		if all[i] = old; old.Addr() == c.Addr {
			all[i] = p
		}
	}
	return p.Addr(), all, nil
}

// Rejected are addresses that stakes hold without using them, because the LAN has
// them. They are released once the interfaces are made, so that none is taken
// again meanwhile.
type Rejected []rejection

type rejection struct {
	domain, key string
	addr        netip.Addr
}

// Add adds an address that a stake has replaced.
func (r *Rejected) Add(s *Stake, addr netip.Addr) {
	*r = append(*r, rejection{s.Domain, s.Owner.Key, addr})
}

// Release frees the addresses.
func (r Rejected) Release(tx *state.Tx) error {
	for _, one := range r {
		if err := lease.In(tx, one.domain).ReleaseAddr(one.addr, one.key); err != nil {
			return err
		}
	}
	return nil
}
