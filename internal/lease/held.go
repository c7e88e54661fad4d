package lease

import (
	"bytes"
	"iter"

	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// HeldIn returns the leases of addresses in a pool's subnet, also outside of its range, by
// address.
func (l *Leases) HeldIn(p *ipam.Pool) (held []Lease, err error) {
	if l.addresses == nil {
		return nil, nil
	}
	c := l.addresses.Cursor()
	last := l.domainKey(addrKey(specs.LastAddr(p.Prefix())))
	for k, v := c.Seek(l.domainKey(addrKey(p.Prefix().Addr()))); k != nil && bytes.Compare(k, last) <= 0; k, v = c.Next() {
		lease, err := decodeLease(k, v)
		if err != nil {
			return held, err
		}
		held = append(held, *lease)
	}
	return held, nil
}

// All returns the lease of every leased address, by domain and address.
func All(tx *state.Tx) iter.Seq2[Lease, error] {
	return func(yield func(Lease, error) bool) {
		b := tx.Bucket(bucketAddresses)
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, v := c.First(); k != nil; k, v = c.Next() {
			l, err := decodeLease(k, v)
			if err != nil {
				l = new(Lease)
			}
			if !yield(*l, err) {
				return
			}
		}
	}
}
