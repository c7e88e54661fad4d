package lease

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"berth/internal/plain"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

const (
	bucketSticky      = "sticky"       // memory key → memory
	bucketStickyOrder = "sticky order" // sequence as 8 bytes → memory key
)

// MaxSticky bounds the interfaces that are remembered; the longest unused are
// forgotten first.
const MaxSticky = 4096

// Memory holds the addresses and the MAC that an interface had when its container last ran, if
// its network is sticky or uses DHCP.
type Memory struct {
	Addresses []netip.Addr `json:"addresses"`
	MAC       specs.MAC    `json:"mac,omitzero"`    // zero if it had its parent's
	InLease   bool         `json:"held,omitempty"`  // a DHCP server leased the addresses, and they were not given back
	Server    netip.Addr   `json:"server,omitzero"` // the DHCPv4 server that leased one of them
	Started   time.Time    `json:"started,omitzero"`
	Order     uint64       `json:"order"`
}

// StickyKey identifies an interface across restarts of its container: name is the
// container's or pod's own, not its ID.
func StickyKey(network, name, ifname string) string {
	return strings.Join([]string{network, name, ifname}, "\x00")
}

// Recall returns the Memory of an interface, or the zero Memory if there is none. It returns an error
// if the Memory is damaged. No container depends on a Memory: its next start goes without it.
func Recall(tx *state.Tx, key string) (m Memory, err error) {
	b := tx.Bucket(bucketSticky)
	if b == nil {
		return m, nil
	}
	data := b.Get([]byte(key))
	if data == nil {
		return m, nil
	}
	if err := plain.Unmarshal(data, &m); err != nil {
		return Memory{}, fmt.Errorf("read the sticky addresses of %q: %w", key, err)
	}
	return m, nil
}

// Remember stores the Memory of an interface. It replaces a damaged one.
func Remember(tx *state.Tx, key string, m Memory) error {
	sticky, order := tx.Bucket(bucketSticky), tx.Bucket(bucketStickyOrder)
	old, err := Recall(tx, key)
	if err == nil && old.Order != 0 {
		if err := order.Delete(orderKey(old.Order)); err != nil {
			return err
		}
	}
	if m.Order, err = order.NextSequence(); err != nil {
		return err
	}
	data, err := plain.Marshal(m)
	if err != nil {
		return err
	}
	if err := sticky.Put([]byte(key), data); err != nil {
		return fmt.Errorf("remember addresses of %q: %w", key, err)
	}
	if err := order.Put(orderKey(m.Order), []byte(key)); err != nil {
		return err
	}
	return forgetOldest(tx, m.Order)
}

// NoteReturned records that the addresses of a Memory were given back to the DHCP server.
func NoteReturned(tx *state.Tx, key string) error {
	m, err := Recall(tx, key)
	if err != nil || !m.InLease {
		return nil // a damaged one is not used, so it need not record anything
	}
	m.InLease = false
	return Remember(tx, key, m)
}

// forgetOldest deletes the entry that is MaxSticky sequence numbers old. An entry
// that is stored again leaves a gap, so fewer may be kept, but never more.
func forgetOldest(tx *state.Tx, newest uint64) error {
	sticky, order := tx.Bucket(bucketSticky), tx.Bucket(bucketStickyOrder)
	if newest <= MaxSticky {
		return nil
	}
	k, v := order.Cursor().First()
	if k == nil || binary.BigEndian.Uint64(k) > newest-MaxSticky {
		return nil
	}
	m, err := Recall(tx, string(v))
	if err != nil || bytes.Equal(orderKey(m.Order), k) { // otherwise it has replaced a damaged one
		if err := sticky.Delete(v); err != nil {
			return err
		}
	}
	return order.Delete(k)
}

func orderKey(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// TakeAgain leases an address that the owner had before, if the pool still gives
// it out, it is free, and no other program has it.
func (l *Leases) TakeAgain(p *ipam.Pool, a netip.Addr, owner Owner) (bool, error) {
	if p.Allows(a) != nil || !p.Range().Contains(a) || l.checkOwned(p, a) != nil || l.isForeign(a) {
		return false, nil
	}
	holder, err := l.Holder(a)
	if err != nil || holder != nil {
		return false, err
	}
	return true, l.putPooled(p, a, owner)
}
