package lease

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"berth/internal/state"
	"berth/ipam"
)

// Buckets of the former addresses of containers that last ran on another node of a cluster.
const (
	bucketFormer = "shared former" // domain, NUL, FormerID → addresses
	bucketTold   = "shared told"   // "order" → the sequence number of the newest published memory
)

// FormerID identifies a container's interface on all nodes: unlike StickyKey without the network's
// name, which may differ.
func FormerID(name, ifname string) string {
	sum := sha256.Sum256([]byte(name + "\x00" + ifname))
	return hex.EncodeToString(sum[:16])
}

// Former returns the addresses that a container's interface last had on another node, or none if it
// last ran here.
func Former(tx *state.Tx, domain, id string) (all []netip.Addr, err error) {
	b := tx.Bucket(bucketFormer)
	if b == nil {
		return nil, nil
	}
	data := b.Get([]byte(domain + "\x00" + id))
	if data == nil {
		return nil, nil
	}
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("former addresses of %q: %w: %w", id, state.ErrDamaged, err)
	}
	return all, nil
}

// SetFormer stores the addresses of a container's interface, or deletes them if there are none.
func SetFormer(tx *state.Tx, domain, id string, all []netip.Addr) error {
	b, key := tx.Bucket(bucketFormer), []byte(domain+"\x00"+id)
	if len(all) == 0 {
		return b.Delete(key)
	}
	data, err := json.Marshal(all)
	if err != nil {
		return err
	}
	return b.Put(key, data)
}

// ResetFormer deletes the former addresses of a domain.
func ResetFormer(tx *state.Tx, domain string) error {
	b := tx.Bucket(bucketFormer)
	for id := range namesOf(b, domain) {
		if err := b.Delete([]byte(domain + "\x00" + id)); err != nil {
			return err
		}
	}
	return nil
}

// Missing returns the addresses of shared pools' ranges of which this node does not own the block.
func Missing(tx *state.Tx, pools []*ipam.Pool, all []netip.Addr) (missing []netip.Addr, err error) {
	for _, a := range all {
		for _, p := range pools {
			if !p.GivesOut(a) {
				continue
			}
			var foreign *NotOwnedError
			err := checkOwned(tx, p, a)
			switch {
			case errors.As(err, &foreign):
				missing = append(missing, a)
			case err != nil:
				return nil, err
			}
		}
	}
	return missing, nil
}

// A Remembered is a Memory with the parts of its StickyKey.
type Remembered struct {
	Network, Name, Interface string
	Memory
}

// Untold returns the memories that were stored after those of the last [SetTold], oldest first.
func Untold(tx *state.Tx) (all []Remembered, err error) {
	order, told := tx.Bucket(bucketStickyOrder), tx.Bucket(bucketTold)
	if order == nil {
		return nil, nil
	}
	var last uint64
	if told != nil {
		if data := told.Get([]byte("order")); len(data) == 8 {
			last = binary.BigEndian.Uint64(data)
		}
	}
	c := order.Cursor()
	for k, v := c.Seek(orderKey(last + 1)); k != nil; k, v = c.Next() {
		m, err := Recall(tx, string(v))
		if err != nil {
			return nil, err
		}
		parts := strings.SplitN(string(v), "\x00", 3)
		if len(parts) == 3 {
			all = append(all, Remembered{parts[0], parts[1], parts[2], m})
		}
	}
	return all, nil
}

// SetTold records that the memories up to a sequence number were published.
func SetTold(tx *state.Tx, order uint64) error {
	return tx.Bucket(bucketTold).Put([]byte("order"), orderKey(order))
}
