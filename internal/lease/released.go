package lease

import (
	"bytes"
	"encoding/binary"
	"iter"
	"net/netip"
	"slices"

	"go.etcd.io/bbolt"

	"berth/internal/state"
	"berth/ipam"
)

// Buckets of the releases of a network. They are kept by network, not by domain: a domain gets
// another name when its parent is made again or the host restarts.
const (
	prefixReleased = "released "      // + network: address as 16 bytes → sequence as 8
	prefixOrder    = "release order " // + network: sequence as 8 bytes → address as 16
)

// MaxReleased bounds the releases of a network that are remembered; the oldest are forgotten
// first. A forgotten address is given out as one that was never released.
const MaxReleased = 4096

// releases are the free addresses of a network in the order of their release.
type releases struct {
	released, order *bbolt.Bucket // nil in a View if nothing was written yet
}

func releasesOf(tx *state.Tx, network string) releases {
	return releases{tx.Bucket(prefixReleased + network), tx.Bucket(prefixOrder + network)}
}

// rememberRelease remembers the release of an address if its lease is ordered.
func (l *Leases) rememberRelease(key []byte) error {
	held, err := l.findLease(l.addresses, key)
	if err != nil || held == nil || !held.Ordered {
		return err
	}
	return releasesOf(l.tx, held.Network).remember(key)
}

func (r releases) remember(key []byte) error {
	if err := r.forget(key); err != nil {
		return err
	}
	n, err := r.order.NextSequence()
	if err != nil {
		return err
	}
	if err := r.released.Put(key, orderKey(n)); err != nil {
		return err
	}
	if err := r.order.Put(orderKey(n), key); err != nil {
		return err
	}
	return r.forgetExcess(n)
}

// forget deletes an address from the order.
func (r releases) forget(key []byte) error {
	at := bytes.Clone(r.released.Get(key))
	if at == nil {
		return nil
	}
	if err := r.released.Delete(key); err != nil {
		return err
	}
	return r.order.Delete(at)
}

// forgetExcess deletes the oldest release if there are more than MaxReleased. It counts them only
// if the sequence numbers allow for so many.
func (r releases) forgetExcess(newest uint64) error {
	c := r.order.Cursor()
	first, addr := c.First()
	if newest-binary.BigEndian.Uint64(first) < MaxReleased {
		return nil
	}
	n := 0
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	if n <= MaxReleased {
		return nil
	}
	return r.forget(bytes.Clone(addr))
}

func (r releases) has(a netip.Addr) bool {
	return r.released != nil && r.released.Get(addrKey(a)) != nil
}

// oldestFirst returns the addresses in the order of their release.
func (r releases) oldestFirst() (all []netip.Addr) {
	if r.order == nil {
		return nil
	}
	c := r.order.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		a, _ := netip.AddrFromSlice(v)
		all = append(all, a.Unmap())
	}
	return all
}

// freeAddresses returns the free addresses of a pool in the order in which they are given out.
func (l *Leases) freeAddresses(p *ipam.Pool) iter.Seq[netip.Addr] {
	parts := l.partsOf(p)
	if !p.Oldest() {
		return l.lowestOfEach(parts, l.isForeign)
	}
	r := releasesOf(l.tx, p.Network())
	return func(yield func(netip.Addr) bool) {
		for a := range l.lowestOfEach(parts, func(a netip.Addr) bool { return r.has(a) || l.isForeign(a) }) {
			if !yield(a) {
				return
			}
		}
		for _, a := range r.oldestFirst() {
			given := slices.ContainsFunc(parts, func(part *ipam.Pool) bool { return part.GivesOut(a) })
			if given && !l.held.Has(addrKey(a)) && !l.isForeign(a) && !yield(a) {
				return
			}
		}
	}
}

// lowestOfEach returns the free addresses of each part in turn, without those to skip.
func (l *Leases) lowestOfEach(parts []*ipam.Pool, skip func(netip.Addr) bool) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for _, p := range parts {
			for a := range l.lowestFirst(p, skip) {
				if !yield(a) {
					return
				}
			}
		}
	}
}

// lowestFirst returns the free addresses of a pool without those to skip.
func (l *Leases) lowestFirst(p *ipam.Pool, skip func(netip.Addr) bool) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		from := p.Range().Addr()
		for from.IsValid() {
			a := p.Next(func(at netip.Addr) netip.Addr {
				if at.IsValid() && at.Less(from) {
					at = from
				}
				for at = l.freeFrom(at); at.IsValid() && skip(at); {
					at = l.freeFrom(at.Next())
				}
				return at
			})
			if !a.IsValid() || !yield(a) {
				return
			}
			from = a.Next()
		}
	}
}

// freeFrom returns the lowest address at or above an address that is not held.
func (l *Leases) freeFrom(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	free, _ := netip.AddrFromSlice(l.held.Free(addrKey(a)))
	return free.Unmap()
}
