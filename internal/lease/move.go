package lease

import (
	"bytes"
	"fmt"

	"berth/internal/state"
)

// Move moves all leases of an owner to another layer-2 domain. If another owner already holds
// one of them there, Move moves none and returns the other owner's leases: the caller's record
// must stay in the old domain too, so that a later call moves both.
func Move(tx *state.Tx, owner, from, to string) (held []Lease, err error) {
	if from == to {
		return nil, nil
	}
	old, next := In(tx, from), In(tx, to)
	keys := old.keysOf(owner)
	for _, key := range keys {
		theirs, err := next.findLease(next.bucketOf(key), key)
		if err != nil {
			return nil, err
		}
		if theirs != nil && theirs.Owner != owner {
			held = append(held, *theirs)
		}
	}
	if len(held) > 0 {
		return held, nil
	}
	for _, key := range keys {
		mine, err := old.findLease(old.bucketOf(key), key)
		if err != nil {
			return nil, err
		}
		if mine == nil {
			continue
		}
		if err := old.freeKey(key, owner); err != nil {
			return nil, err
		}
		if err := next.adoptLease(key, mine); err != nil {
			return nil, fmt.Errorf("move lease %x to domain %s: %w", key, to, err)
		}
	}
	return nil, nil
}

// adoptLease records a lease from another domain under the same owner.
func (l *Leases) adoptLease(key []byte, of *Lease) error {
	owner := Owner{Key: of.Owner, Container: of.Container, Network: of.Network}
	if of.Addr.IsValid() {
		return l.putAddress(of.Addr, owner, terms{ordered: of.Ordered, shared: of.Shared})
	}
	return l.putRecord(l.macs, key, owner, terms{})
}

// keysOf returns the keys of an owner's leases: addresses of 16 bytes and MACs of 6.
func (l *Leases) keysOf(owner string) (held [][]byte) {
	prefix := []byte(l.domain + "\x00" + owner + "\x00")
	c := l.owners.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		held = append(held, bytes.Clone(k[len(prefix):]))
	}
	return held
}
