package lease

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"berth/internal/state"
	"berth/ipam"
)

// bucketSeen holds the addresses that probes found free: domain → sightings, each of
// sightingSize bytes.
const bucketSeen = "seen free"

const sightingSize = 36

// SeenFor is the time for which a sighting counts.
const SeenFor = 30 * time.Second

// maxSightings bounds the sightings of a domain; the oldest are forgotten first.
const maxSightings = 128

// Sighting records that an address was probed for and no host answered. It holds no
// lease.
type Sighting struct {
	Addr     netip.Addr
	At       time.Duration // of the first probe, by CLOCK_BOOTTIME
	Listened time.Duration // 0 if the probe is not over
	Link     LinkState     // of the parent, before and after the probe
}

// LinkState identifies the wire that a probe was sent to: the parent, and how often its
// carrier has changed.
type LinkState struct {
	Index   int
	Changes uint32
}

// Covers reports whether the sighting replaces a probe of length listen at the time now:
// it is recent, long enough, and of the same wire.
func (s *Sighting) Covers(now, listen time.Duration, link LinkState) bool {
	return s.Listened > 0 && s.Listened >= listen && s.Link == link && s.within(now, SeenFor)
}

// Younger reports whether the sighting is over and was begun within a time.
func (s *Sighting) Younger(now, than time.Duration) bool {
	return s.Listened > 0 && s.within(now, than)
}

// Running reports whether the probe may still be running.
func (s *Sighting) Running(now, listen time.Duration) bool {
	return s.Listened == 0 && s.within(now, listen+time.Second)
}

func (s *Sighting) within(now, span time.Duration) bool { return s.At <= now && now-s.At < span }

// Sightings returns the sightings of a domain.
func Sightings(tx *state.Tx, domain string) (all []Sighting) {
	b := tx.Bucket(bucketSeen)
	if b == nil {
		return nil
	}
	data := b.Get([]byte(domain))
	for ; len(data) >= sightingSize; data = data[sightingSize:] {
		all = append(all, decodeSighting(data))
	}
	return all
}

// FindSighting returns the sighting of an address, or the zero Sighting if there is none.
func FindSighting(all []Sighting, a netip.Addr) (s Sighting) {
	if i := slices.IndexFunc(all, func(s Sighting) bool { return s.Addr == a }); i >= 0 {
		s = all[i]
	}
	return s
}

// See records sightings of a domain in place of older ones of the same addresses, and
// forgets expired ones.
func See(tx *state.Tx, domain string, now time.Duration, add []Sighting) error {
	return putSightings(tx, domain, append(slices.DeleteFunc(Sightings(tx, domain), func(old Sighting) bool {
		return !old.within(now, SeenFor) || FindSighting(add, old.Addr).Addr.IsValid()
	}), add...))
}

// Unsee forgets the sightings of addresses.
func Unsee(tx *state.Tx, domain string, addrs ...netip.Addr) error {
	all := Sightings(tx, domain)
	left := slices.DeleteFunc(slices.Clone(all), func(s Sighting) bool { return slices.Contains(addrs, s.Addr) })
	if len(left) == len(all) {
		return nil
	}
	return putSightings(tx, domain, left)
}

func putSightings(tx *state.Tx, domain string, all []Sighting) error {
	if len(all) > maxSightings {
		all = all[len(all)-maxSightings:]
	}
	var data []byte
	for _, s := range all {
		data = appendSighting(data, s)
	}
	return tx.Bucket(bucketSeen).Put([]byte(domain), data)
}

// NextFree returns up to n addresses of a pool that Take would lease next, if nothing is
// released meanwhile.
func (l *Leases) NextFree(p *ipam.Pool, n int) (all []netip.Addr) {
	for a := range l.freeAddresses(p) {
		if len(all) == n {
			break
		}
		all = append(all, a)
	}
	return all
}

func appendSighting(b []byte, s Sighting) []byte {
	b = append(b, addrKey(s.Addr)...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.At))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Listened.Milliseconds()))
	b = binary.BigEndian.AppendUint32(b, uint32(s.Link.Index))
	return binary.BigEndian.AppendUint32(b, s.Link.Changes)
}

// decodeSighting returns a sighting that covers nothing if the bytes are damaged: its time
// is then in the future or long past, or its address is no pool's.
func decodeSighting(b []byte) Sighting {
	a, _ := netip.AddrFromSlice(b[:16])
	return Sighting{
		Addr: a.Unmap(), At: time.Duration(binary.BigEndian.Uint64(b[16:])),
		Listened: time.Duration(binary.BigEndian.Uint32(b[24:])) * time.Millisecond,
		Link:     LinkState{Index: int(binary.BigEndian.Uint32(b[28:])), Changes: binary.BigEndian.Uint32(b[32:])},
	}
}
