package lease

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"berth/internal/random"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// Buckets of pools that nodes share. The agent opens and closes parts (see package cluster);
// a transaction that leases an address sees either.
const (
	bucketParts   = "shared parts"   // pool domain, NUL, text of a Part → nothing
	bucketWishes  = "shared wishes"  // pool domain, NUL, address or nothing → nothing
	bucketTrouble = "shared trouble" // pool domain → why this node gets no more of the pool
)

// Part is a part of a shared pool that this node owns: a block of addresses, one address
// outside of the range, or a prefix of MACs.
type Part struct {
	Prefix netip.Prefix // zero for a prefix of MACs
	MAC    [2]byte      // the octets after 02
}

// String returns the prefix, or four hexadecimal digits.
func (p Part) String() string {
	if p.Prefix.IsValid() {
		return p.Prefix.String()
	}
	return hex.EncodeToString(p.MAC[:])
}

func parsePart(text string) (p Part, err error) {
	if strings.Contains(text, "/") {
		p.Prefix, err = netip.ParsePrefix(text)
		return p, err
	}
	octets, err := hex.DecodeString(text)
	if err != nil || len(octets) != len(p.MAC) {
		return p, fmt.Errorf("%w: part %q of a shared pool", state.ErrDamaged, text)
	}
	return Part{MAC: [2]byte(octets)}, nil
}

// Parts returns the open parts of a pool domain, addresses in their order.
func Parts(tx *state.Tx, poolDomain string) (all []Part, err error) {
	for text := range namesOf(tx.Bucket(bucketParts), poolDomain) {
		p, err := parsePart(text)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Part) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return all, nil
}

// namesOf returns the names of a pool domain in a bucket whose keys are domain, NUL, name.
func namesOf(b *bbolt.Bucket, poolDomain string) map[string]bool {
	all := map[string]bool{}
	if b == nil {
		return all
	}
	prefix := []byte(poolDomain + "\x00")
	c := b.Cursor()
	for k, _ := c.Seek(prefix); bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		all[string(k[len(prefix):])] = true
	}
	return all
}

// ResetParts opens exactly these parts of a pool domain.
func ResetParts(tx *state.Tx, poolDomain string, parts []Part) error {
	b, old := tx.Bucket(bucketParts), namesOf(tx.Bucket(bucketParts), poolDomain)
	for _, p := range parts {
		delete(old, p.String())
		if err := OpenPart(tx, poolDomain, p); err != nil {
			return err
		}
	}
	for text := range old {
		if err := b.Delete([]byte(poolDomain + "\x00" + text)); err != nil {
			return err
		}
	}
	return nil
}

// OpenPart lets addresses or MACs of a part be leased.
func OpenPart(tx *state.Tx, poolDomain string, p Part) error {
	return tx.Bucket(bucketParts).Put([]byte(poolDomain+"\x00"+p.String()), []byte{})
}

// ClosePart ends that. Unless force is set, it changes nothing and returns false if an address
// of the part is leased.
func ClosePart(tx *state.Tx, poolDomain string, p Part, force bool) (closed bool, err error) {
	if !force {
		leased, err := SharedAddresses(tx, poolDomain)
		if err != nil || slices.ContainsFunc(leased, p.Prefix.Contains) {
			return false, err
		}
	}
	return true, tx.Bucket(bucketParts).Delete([]byte(poolDomain + "\x00" + p.String()))
}

// SharedAddresses returns the leased addresses of the pool with a pool domain.
func SharedAddresses(tx *state.Tx, poolDomain string) (leased []netip.Addr, err error) {
	for l, err := range All(tx) {
		if err != nil {
			return nil, err
		}
		if l.Shared == poolDomain {
			leased = append(leased, l.Addr)
		}
	}
	return leased, nil
}

// partsOf returns the parts of a pool from which addresses may be leased: the open blocks of a
// shared pool, else the pool itself.
func (l *Leases) partsOf(p *ipam.Pool) []*ipam.Pool {
	if p.Shared() == "" {
		return []*ipam.Pool{p}
	}
	parts, err := Parts(l.tx, p.Shared())
	if err != nil {
		return nil
	}
	var all []*ipam.Pool
	for _, part := range parts {
		if part.Prefix.IsValid() && p.Range().Overlaps(part.Prefix) {
			all = append(all, p.Within(part.Prefix))
		}
	}
	return all
}

// sharedSize returns the number of addresses of a shared pool that this node can lease.
func (l *Leases) sharedSize(p *ipam.Pool) (size uint64) {
	for _, part := range l.partsOf(p) {
		size += part.Size()
	}
	return size
}

// checkOwned returns a *NotOwnedError if the address is of a shared pool, and no open part has it.
func (l *Leases) checkOwned(p *ipam.Pool, a netip.Addr) error { return checkOwned(l.tx, p, a) }

func checkOwned(tx *state.Tx, p *ipam.Pool, a netip.Addr) error {
	if p.Shared() == "" {
		return nil
	}
	parts, err := Parts(tx, p.Shared())
	if err != nil {
		return err
	}
	if slices.ContainsFunc(parts, func(part Part) bool { return part.Prefix.Contains(a) }) {
		return nil
	}
	return &NotOwnedError{Domain: p.Shared(), Addr: a, Why: Trouble(tx, p.Shared())}
}

// TakeSharedMAC is [Leases.TakeMAC] for a network with a shared pool: the MAC begins with a
// prefix that only this node has. Its last three octets are those of want if want is not zero
// and no other attachment has that MAC, else random.
func (l *Leases) TakeSharedMAC(poolDomain string, owner Owner, want specs.MAC) (specs.MAC, error) {
	prefixes, err := macPrefixes(l.tx, poolDomain)
	if err != nil {
		return specs.MAC{}, err
	}
	if len(prefixes) == 0 {
		return specs.MAC{}, &NotOwnedError{Domain: poolDomain, Why: Trouble(l.tx, poolDomain)}
	}
	m := want
	for i := range maxTries {
		if want.IsZero() || i > 0 {
			random.Read(m[:])
		}
		copy(m[:], []byte{0x02, prefixes[0][0], prefixes[0][1]})
		err := l.ClaimMAC(m, owner)
		if inUse := new(InUseError); !errors.As(err, &inUse) {
			return m, err
		}
	}
	return specs.MAC{}, fmt.Errorf("lease a MAC of domain %q: none was free in %d tries", poolDomain, maxTries)
}

// FreeSharedMAC returns a random MAC with a prefix that only this node has in the domain, and that no
// attachment has. It leases nothing.
func FreeSharedMAC(tx *state.Tx, poolDomain string) (m specs.MAC, err error) {
	leased := map[specs.MAC]bool{}
	for l, err := range All(tx) {
		if err != nil {
			return m, err
		}
		leased[l.MAC] = true
	}
	prefixes, err := macPrefixes(tx, poolDomain)
	if err != nil || len(prefixes) == 0 {
		return m, errors.Join(err, &NotOwnedError{Domain: poolDomain, Why: Trouble(tx, poolDomain)})
	}
	for range maxTries {
		random.Read(m[:])
		copy(m[:], []byte{0x02, prefixes[0][0], prefixes[0][1]})
		if !leased[m] {
			return m, nil
		}
	}
	return m, fmt.Errorf("choose a MAC of domain %q: none was free in %d tries", poolDomain, maxTries)
}

func macPrefixes(tx *state.Tx, poolDomain string) (all [][2]byte, err error) {
	parts, err := Parts(tx, poolDomain)
	for _, p := range parts {
		if !p.Prefix.IsValid() {
			all = append(all, p.MAC)
		}
	}
	return all, err
}

// dockersMAC is the second octet of docker's own MACs. No node has a prefix with it.
const dockersMAC = 0x42

// ClaimSharedMAC is [Leases.ClaimMAC] for a network with a shared pool. It returns a
// *NotOwnedError for a MAC that another node may give out.
func (l *Leases) ClaimSharedMAC(poolDomain string, m specs.MAC, owner Owner) error {
	prefixes, err := macPrefixes(l.tx, poolDomain)
	if err != nil {
		return err
	}
	if m[0] == 0x02 && m[1] != dockersMAC && !slices.Contains(prefixes, [2]byte(m[1:3])) {
		return &NotOwnedError{Domain: poolDomain, MAC: m}
	}
	return l.ClaimMAC(m, owner)
}

// Wish records that a container's start waits for an address of a shared pool, or for any if
// it is not valid. The agent answers by deleting the wish.
func Wish(tx *state.Tx, poolDomain string, a netip.Addr) error {
	return tx.Bucket(bucketWishes).Put(wishKey(poolDomain, a), []byte{})
}

// Wishes returns the wishes of a pool domain. The zero address means any.
func Wishes(tx *state.Tx, poolDomain string) (all []netip.Addr) {
	for text := range namesOf(tx.Bucket(bucketWishes), poolDomain) {
		a, _ := netip.ParseAddr(text)
		all = append(all, a)
	}
	return all
}

// Wished reports whether a wish waits for its answer.
func Wished(tx *state.Tx, poolDomain string, a netip.Addr) bool {
	b := tx.Bucket(bucketWishes)
	return b != nil && b.Get(wishKey(poolDomain, a)) != nil
}

// AnswerWish deletes a wish.
func AnswerWish(tx *state.Tx, poolDomain string, a netip.Addr) error {
	return tx.Bucket(bucketWishes).Delete(wishKey(poolDomain, a))
}

func wishKey(poolDomain string, a netip.Addr) []byte {
	if !a.IsValid() {
		return []byte(poolDomain + "\x00")
	}
	return []byte(poolDomain + "\x00" + a.String())
}

// SetTrouble records why this node gets no more of a shared pool, or "" if it does.
func SetTrouble(tx *state.Tx, poolDomain, why string) error {
	if why == "" {
		return tx.Bucket(bucketTrouble).Delete([]byte(poolDomain))
	}
	return tx.Bucket(bucketTrouble).Put([]byte(poolDomain), []byte(why))
}

// Trouble returns the text of SetTrouble.
func Trouble(tx *state.Tx, poolDomain string) string {
	b := tx.Bucket(bucketTrouble)
	if b == nil {
		return ""
	}
	return string(b.Get([]byte(poolDomain)))
}
