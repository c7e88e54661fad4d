package plumb

import (
	"errors"
	"net/netip"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Stake holds the layer-2 domain and the owner of a record's leases, and the VLANs that it
// uses.
type Stake struct {
	Domain string // as [state.Attachment.Domain] returns it
	VLAN   VLAN
	Outer  []VLAN // VLANs of the trunk of VLAN, the inner first
	Owner  lease.Owner
}

// Claim leases requested addresses, each in a subnet of the network. The errors
// are those of [lease.Leases.Claim].
func (s *Stake) Claim(tx *state.Tx, n *specs.Network, asked []netip.Prefix) error {
	leases := lease.In(tx, s.Domain)
	for _, p := range asked {
		pool := ipam.PoolOf(n, *n.SubnetOf(p.Addr()), nil)
		if err := leases.Claim(pool, p.Addr(), s.Owner); err != nil {
			return err
		}
	}
	return nil
}

// Take leases an address from the first pool that has a free one, as docker does.
// If all are exhausted, the error is the last pool's.
func (s *Stake) Take(tx *state.Tx, pools []*ipam.Pool) (netip.Prefix, error) {
	leases := lease.In(tx, s.Domain)
	var last error
	for _, pool := range pools {
		addr, err := leases.Take(pool, s.Owner)
		if err == nil {
			return netip.PrefixFrom(addr, pool.Prefix().Bits()), nil
		}
		last = err
		var exhausted *lease.ExhaustedError
		if !errors.As(err, &exhausted) {
			break
		}
	}
	return netip.Prefix{}, last
}

// TakeAgain leases one of the addresses that the interface had before, or any
// other of the pools if none of those is free.
func (s *Stake) TakeAgain(tx *state.Tx, pools []*ipam.Pool, had []netip.Addr) (netip.Prefix, error) {
	leases := lease.In(tx, s.Domain)
	for _, addr := range had {
		for _, pool := range pools {
			again, err := leases.TakeAgain(pool, addr, s.Owner)
			if err != nil {
				return netip.Prefix{}, err
			}
			if again {
				return netip.PrefixFrom(addr, pool.Prefix().Bits()), nil
			}
		}
	}
	return s.Take(tx, pools)
}

// TakeMAC leases a random MAC for an interface on a network.
func (s *Stake) TakeMAC(tx *state.Tx, n *specs.Network) (specs.MAC, error) {
	leases := lease.In(tx, s.Domain)
	if n.Clustered() {
		return leases.TakeSharedMAC(n.Domain, s.Owner, specs.MAC{})
	}
	return leases.TakeMAC(s.Owner)
}

// UseVLAN records the use of the stake's VLAN, if it has one, and of the outer
// ones. made is true if berth makes the sub-interface (see
// [state.Tx.AddVLANUser]).
func (s *Stake) UseVLAN(tx *state.Tx, made bool) error {
	for i, v := range s.vlans() {
		if err := tx.AddVLANUser(v.Trunk, v.ID, s.Owner.Key, made && i == 0); err != nil {
			return err
		}
	}
	return nil
}

// vlans returns the VLANs of the stake, the inner first.
func (s *Stake) vlans() []VLAN {
	if s.VLAN.ID == 0 {
		return nil
	}
	return append([]VLAN{s.VLAN}, s.Outer...)
}

// Forget frees all leases of the stake, and ends its use of the VLAN. It succeeds
// if nothing is left.
func (s *Stake) Forget(tx *state.Tx) error {
	if err := lease.In(tx, s.Domain).Release(s.Owner.Key); err != nil {
		return err
	}
	for _, v := range s.vlans() {
		if _, _, err := tx.RemoveVLANUser(v.Trunk, v.ID, s.Owner.Key); err != nil {
			return err
		}
	}
	return nil
}

// Of returns the stake of an attachment.
func Of(a *state.Attachment) *Stake {
	s := &Stake{
		Domain: a.Domain(), VLAN: VLAN{a.TrunkIndex, a.VLAN}, Outer: VLANsOf(a.Outer),
		Owner: lease.Owner{Key: a.Key(), Network: a.Network},
	}
	if len(a.Containers) > 0 {
		s.Owner.Container = a.Containers[0]
	}
	return s
}
