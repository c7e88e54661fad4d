package lease

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"berth/internal/digest"
	"berth/internal/state"
	"berth/ipam"
)

// Buckets of the former addresses of containers that last ran on another node of a cluster.
const (
	bucketFormer = "shared former" // domain, NUL, FormerID → addresses
	bucketTold   = "shared told"   // network → the sequence number of its newest published memory
)

// FormerID identifies a container's interface on all nodes: unlike StickyKey without the network's
// name, which may differ.
func FormerID(name, ifname string) string {
	sum := digest.Sum([]byte(name + "\x00" + ifname))
	return hex.EncodeToString(sum[:16])
}

// Former returns the addresses that a container's interface last had on another node, or none if it
// last ran here. It returns an error if they are damaged. No container depends on them.
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
		return nil, fmt.Errorf("read the former addresses of %q in domain %q: %w", id, domain, err)
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

// Untold are the memories of a domain's networks that were not published yet.
type Untold struct {
	Memories []Remembered // oldest first
	Last     uint64       // for [SetTold] after they were published; 0 if no memory was stored since
	Damaged  []error      // one for each memory that cannot be read, and that is passed over
}

// ReadUntold returns the memories of networks that were stored after those of the last [SetTold] of
// each, up to a limit.
func ReadUntold(tx *state.Tx, networks map[string]bool, limit int) (u Untold) {
	order := tx.Bucket(bucketStickyOrder)
	if order == nil || len(networks) == 0 {
		return u
	}
	told := toldOf(tx, networks)
	first := slices.Min(slices.Collect(maps.Values(told)))
	c := order.Cursor()
	for k, v := c.Seek(orderKey(first + 1)); len(k) == 8 && len(u.Memories) < limit; k, v = c.Next() {
		u.Last = binary.BigEndian.Uint64(k)
		parts := strings.SplitN(string(v), "\x00", 3)
		if len(parts) != 3 || !networks[parts[0]] || u.Last <= told[parts[0]] {
			continue
		}
		m, err := Recall(tx, string(v))
		switch {
		case err != nil:
			u.Damaged = append(u.Damaged, err)
		case m.Order == u.Last:
			u.Memories = append(u.Memories, Remembered{parts[0], parts[1], parts[2], m})
		}
	}
	return u
}

// toldOf returns the sequence number of the newest published memory of each network, or 0.
func toldOf(tx *state.Tx, networks map[string]bool) map[string]uint64 {
	all, b := map[string]uint64{}, tx.Bucket(bucketTold)
	for name := range networks {
		all[name] = 0
		if b == nil {
			continue
		}
		if data := b.Get([]byte(name)); len(data) == 8 {
			all[name] = binary.BigEndian.Uint64(data)
		}
	}
	return all
}

// SetTold records that the memories of networks up to a sequence number were published. It deletes
// the records of networks whose memories of that time are all forgotten.
func SetTold(tx *state.Tx, networks map[string]bool, last uint64) error {
	b := tx.Bucket(bucketTold)
	var old [][]byte
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if len(v) != 8 || binary.BigEndian.Uint64(v)+MaxSticky <= last {
			old = append(old, k)
		}
	}
	for _, k := range old {
		if err := b.Delete(k); err != nil {
			return err
		}
	}
	for name, told := range toldOf(tx, networks) {
		if err := b.Put([]byte(name), orderKey(max(told, last))); err != nil {
			return err
		}
	}
	return nil
}
