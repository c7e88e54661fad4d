package lease

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"berth/internal/plain"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Buckets. Keys begin with the domain and a NUL, except in those of runs, of which each domain
// has one.
const (
	bucketAddresses = "addresses" // domain, NUL, address as 16 bytes → Lease
	bucketMACs      = "macs"      // domain, NUL, MAC as 6 bytes → Lease
	bucketOwners    = "owners"    // domain, NUL, owner, NUL, address or MAC
	prefixHeld      = "held "     // + domain: the addresses as state.Runs
)

// Owner is the holder of a lease.
type Owner struct {
	Key       string // of the attachment, the host shim or the reservation
	Container string // its first container, or "" for a host shim
	Network   string // "" if defined in place
	Reserved  bool   // the owner is a Reservation
}

// Lease is an address or a MAC that an owner holds in a layer-2 domain.
type Lease struct {
	Domain    string     `json:"-"`
	Addr      netip.Addr `json:"-"` // zero for a MAC's lease
	MAC       specs.MAC  `json:"-"` // zero for an address's lease
	Owner     string     `json:"owner"`
	Container string     `json:"container"`
	Network   string     `json:"network"`
	Since     time.Time  `json:"since"`
	Ordered   bool       `json:"ordered,omitempty"`  // network with reuse "oldest": its release is remembered
	Shared    string     `json:"shared,omitempty"`   // the pool domain, if nodes share the pool
	Reserved  bool       `json:"reserved,omitempty"` // the owner is a Reservation
}

// Leases are the leases of one layer-2 domain, valid inside the transaction.
type Leases struct {
	tx                      *state.Tx
	domain                  string
	addresses, macs, owners *bbolt.Bucket
	held                    state.Runs
}

// In returns the leases of a domain (see Attachment.Domain): networks in one domain share their
// leases, so that no address is given twice there.
func In(tx *state.Tx, domain string) *Leases {
	return &Leases{
		tx:        tx,
		domain:    domain,
		addresses: tx.Bucket(bucketAddresses),
		macs:      tx.Bucket(bucketMACs),
		owners:    tx.Bucket(bucketOwners),
		held:      state.NewRuns(tx.Bucket(prefixHeld + domain)),
	}
}

// Take leases the first free address of a pool, in the pool's order. It returns an
// *ExhaustedError if there is none.
func (l *Leases) Take(p *ipam.Pool, owner Owner) (netip.Addr, error) {
	for a := range l.freeAddresses(p) {
		return a, l.putPooled(p, a, owner)
	}
	return netip.Addr{}, l.exhaustedError(p)
}

// Claim leases a requested address. It returns the error of [ipam.Pool.Allows], or an *InUseError
// if another owner holds the address. It succeeds if the owner already holds the address.
func (l *Leases) Claim(p *ipam.Pool, a netip.Addr, owner Owner) error {
	if err := p.Allows(a); err != nil {
		return err
	}
	if err := l.checkOwned(p, a); err != nil {
		return err
	}
	return l.claim(a, owner, terms{ordered: l.remembersRelease(p, a), shared: p.Shared()})
}

// ClaimAddr is [Leases.Claim] for an address of no pool, which a DHCP server leased.
func (l *Leases) ClaimAddr(a netip.Addr, owner Owner) error { return l.claim(a, owner, terms{}) }

// terms are the parts of a lease that follow from its pool.
type terms struct {
	ordered bool
	shared  string
}

func (l *Leases) claim(a netip.Addr, owner Owner, t terms) error {
	holder, err := l.Holder(a)
	switch {
	case err != nil:
		return err
	case holder == nil:
		return l.putAddress(a, owner, t)
	case holder.Owner != owner.Key:
		return &InUseError{Holder: *holder}
	}
	return nil
}

// Holder returns the lease of an address, or nil if it is free.
func (l *Leases) Holder(a netip.Addr) (*Lease, error) {
	return l.findLease(l.addresses, addrKey(a))
}

// Release frees all addresses and MACs that an owner holds in the domain.
func (l *Leases) Release(owner string) error {
	for _, key := range l.keysOf(owner) {
		if err := l.freeKey(key, owner); err != nil {
			return err
		}
	}
	return nil
}

// ReleaseAddr frees one address if the owner holds it.
func (l *Leases) ReleaseAddr(a netip.Addr, owner string) error {
	holder, err := l.Holder(a)
	if err != nil || holder == nil || holder.Owner != owner {
		return err
	}
	return l.freeKey(addrKey(a), owner)
}

// freeKey frees an address (16 bytes) or a MAC (6).
func (l *Leases) freeKey(key []byte, owner string) error {
	if isAddress(key) {
		if err := l.rememberRelease(key); err != nil {
			return fmt.Errorf("free %x: %w", key, err)
		}
		if err := l.held.Remove(key); err != nil {
			return fmt.Errorf("free %x: %w", key, err)
		}
	}
	if err := l.bucketOf(key).Delete(l.domainKey(key)); err != nil {
		return fmt.Errorf("free %x: %w", key, err)
	}
	return l.owners.Delete(l.ownerKey(owner, key))
}

// bucketOf returns the bucket of a key: an address has 16 bytes, a MAC has 6.
func (l *Leases) bucketOf(key []byte) *bbolt.Bucket {
	if isAddress(key) {
		return l.addresses
	}
	return l.macs
}

func isAddress(key []byte) bool { return len(key) == len(addrKey(netip.Addr{})) }

// putPooled leases an address of a pool.
func (l *Leases) putPooled(p *ipam.Pool, a netip.Addr, owner Owner) error {
	return l.putAddress(a, owner, terms{ordered: l.remembersRelease(p, a), shared: p.Shared()})
}

// remembersRelease reports whether the release of an address is to be remembered.
func (l *Leases) remembersRelease(p *ipam.Pool, a netip.Addr) bool {
	return p.Oldest() && p.Range().Contains(a)
}

func (l *Leases) putAddress(a netip.Addr, owner Owner, t terms) error {
	if err := l.held.Add(addrKey(a)); err != nil {
		return fmt.Errorf("lease %s: %w", a, err)
	}
	if t.ordered {
		if err := releasesOf(l.tx, owner.Network).forget(addrKey(a)); err != nil {
			return fmt.Errorf("lease %s: %w", a, err)
		}
	}
	return l.putRecord(l.addresses, addrKey(a), owner, t)
}

// putRecord writes a lease and its entry in the index of owners.
func (l *Leases) putRecord(b *bbolt.Bucket, key []byte, owner Owner, t terms) error {
	data, err := plain.Marshal(Lease{
		Owner: owner.Key, Container: owner.Container, Network: owner.Network, Since: time.Now().UTC(),
		Ordered: t.ordered, Shared: t.shared, Reserved: owner.Reserved,
	})
	if err != nil {
		return fmt.Errorf("lease %x: %w", key, err)
	}
	if err := b.Put(l.domainKey(key), data); err != nil {
		return fmt.Errorf("lease %x: %w", key, err)
	}
	return l.owners.Put(l.ownerKey(owner.Key, key), []byte{})
}

func (l *Leases) findLease(b *bbolt.Bucket, key []byte) (*Lease, error) {
	if b == nil {
		return nil, nil
	}
	data := b.Get(l.domainKey(key))
	if data == nil {
		return nil, nil
	}
	return decodeLease(l.domainKey(key), data)
}

func (l *Leases) domainKey(of []byte) []byte { return slices.Concat([]byte(l.domain), []byte{0}, of) }

func (l *Leases) ownerKey(owner string, of []byte) []byte {
	return slices.Concat([]byte(l.domain), []byte{0}, []byte(owner), []byte{0}, of)
}

// addrKey returns a key that sorts as addresses do, within a family.
func addrKey(a netip.Addr) []byte {
	if !a.IsValid() {
		return make([]byte, 16)
	}
	key := a.As16()
	return key[:]
}

// decodeLease parses a lease from an entry of addresses or macs.
func decodeLease(key, data []byte) (*Lease, error) {
	domain, of, _ := bytes.Cut(key, []byte{0})
	l := &Lease{Domain: string(domain)}
	if len(of) == len(l.MAC) {
		l.MAC = specs.MAC(of)
	} else if a, ok := netip.AddrFromSlice(of); ok {
		l.Addr = a.Unmap()
	}
	if err := plain.Unmarshal(data, l); err != nil {
		return nil, fmt.Errorf("lease %q: %w: %w", key, state.ErrDamaged, err)
	}
	return l, nil
}

// maxHolders bounds the holders that an ExhaustedError lists.
const maxHolders = 5

// exhaustedError returns an error that lists the holders of a pool's addresses. Leases
// are counted for this error only.
func (l *Leases) exhaustedError(p *ipam.Pool) error {
	e := &ExhaustedError{Network: p.Network(), Range: p.Range(), Size: p.Size(), Shared: p.Shared()}
	if e.Shared != "" {
		e.Size, e.Why = l.sharedSize(p), Trouble(l.tx, e.Shared)
	}
	c := l.addresses.Cursor()
	last := l.domainKey(addrKey(specs.LastAddr(p.Range())))
	for k, v := c.Seek(l.domainKey(addrKey(p.Range().Addr()))); k != nil && bytes.Compare(k, last) <= 0; k, v = c.Next() {
		lease, err := decodeLease(k, v)
		if err != nil {
			return err
		}
		if p.Reserved(lease.Addr) != "" {
			continue // leased before it was reserved
		}
		if e.Held++; len(e.Holders) < maxHolders {
			e.Holders = append(e.Holders, *lease)
		}
	}
	var err error
	if e.Foreign, err = l.ForeignIn(p); err != nil {
		return err
	}
	return e
}
