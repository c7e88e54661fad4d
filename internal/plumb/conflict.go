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

// ErrConflict is wrapped by the error of an address that another machine on the
// LAN has.
var ErrConflict = errors.New("address in use on the LAN")

// maxConflicts bounds how many addresses of a pool may turn out to be in use one
// after another before the interface is given up.
const maxConflicts = 64

// Settle probes for the addresses of interfaces before they are used, all at
// once. If the LAN has one, exchange replaces it and returns the address to
// probe for next; its error ends the probing. A timeout of 0 turns probing off.
func Settle(ctx context.Context, ns *network.Namespace, timeout time.Duration, all []network.Claimant,
	exchange func(network.Conflict) (netip.Addr, error)) error {
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
			addr, err := exchange(c)
			if err != nil {
				return err
			}
			next[c.Interface] = append(next[c.Interface], addr)
		}
		all = withAddresses(all, next)
	}
	return fmt.Errorf("%w: %d addresses of the pool one after another; set ip_range to a part of the subnet that is this host's",
		ErrConflict, maxConflicts)
}

// withAddresses returns the claimants that have addresses, by interface, with
// these only.
func withAddresses(all []network.Claimant, addresses map[string][]netip.Addr) (left []network.Claimant) {
	for _, c := range all {
		if c.Addresses = addresses[c.Name]; len(c.Addresses) > 0 {
			left = append(left, c)
		}
	}
	return left
}

// Taken is the error of a conflict over an address that was asked for: there is
// no other to exchange it for.
func Taken(c network.Conflict) error {
	return fmt.Errorf("%w: %s is %s's already; ask for another, or take it from that machine", ErrConflict, c.Addr, c.MAC)
}

// Exchange leases an address of the pools in place of one that the LAN has, and
// returns it, and all of the record's addresses with it in the old one's place.
// The old one stays leased (see [Rejected]).
func (s *Stake) Exchange(tx *state.Tx, pools []*ipam.Pool, addresses []netip.Prefix, c network.Conflict) (
	next netip.Addr, all []netip.Prefix, err error) {
	p, err := s.Take(tx, pools)
	if err != nil {
		return next, nil, fmt.Errorf("%w: %s is %s's; %w", ErrConflict, c.Addr, c.MAC, err)
	}
	all = make([]netip.Prefix, len(addresses))
	for i, old := range addresses {
		if all[i] = old; old.Addr() == c.Addr {
			all[i] = p
		}
	}
	return p.Addr(), all, nil
}

// Rejected are addresses that stakes hold without using them, because the LAN
// has them. They are given back when the interfaces are made, so that none is
// taken again meanwhile.
type Rejected []rejection

type rejection struct {
	domain, key string
	addr        netip.Addr
}

// Add notes an address that a stake has exchanged.
func (r *Rejected) Add(s *Stake, addr netip.Addr) {
	*r = append(*r, rejection{s.Domain, s.Owner.Key, addr})
}

// Release gives the addresses back.
func (r Rejected) Release(tx *state.Tx) error {
	for _, one := range r {
		if err := lease.In(tx, one.domain).ReleaseAddr(one.addr, one.key); err != nil {
			return err
		}
	}
	return nil
}
