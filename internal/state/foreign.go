package state

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
)

// bucketForeign holds the addresses that other programs have given to containers: address as
// 16 bytes, index of the parent as 4 → the holder. The agent writes it as a whole.
const bucketForeign = "foreign addresses"

// ForeignAddress is an address that another program has given to a container.
type ForeignAddress struct {
	Addr        netip.Addr `json:"-"`
	ParentIndex int        `json:"-"` // 0 if unknown: then it is held on each parent
	Holder      string     `json:"holder"`
}

func (f *ForeignAddress) key() []byte {
	a := f.Addr.As16()
	return binary.BigEndian.AppendUint32(a[:], uint32(f.ParentIndex))
}

// SetForeignAddresses replaces the addresses that other programs have given to containers.
func (tx *Tx) SetForeignAddresses(all []ForeignAddress) error {
	wanted, err := encodeForeign(all)
	if err != nil {
		return err
	}
	b := tx.Bucket(bucketForeign)
	var stale [][]byte
	for k := range seekFrom(b, nil) {
		if _, keep := wanted[string(k)]; !keep {
			stale = append(stale, bytes.Clone(k))
		}
	}
	for _, k := range stale {
		if err := b.Delete(k); err != nil {
			return fmt.Errorf("forget an address of another program: %w", err)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(wanted)) {
		if bytes.Equal(b.Get([]byte(k)), wanted[k]) {
			continue
		}
		if err := b.Put([]byte(k), wanted[k]); err != nil {
			return fmt.Errorf("note an address of another program: %w", err)
		}
	}
	return nil
}

// HasForeignAddresses reports whether these are the stored addresses.
func (tx *Tx) HasForeignAddresses(all []ForeignAddress) (bool, error) {
	wanted, err := encodeForeign(all)
	if err != nil {
		return false, err
	}
	n := 0
	for k, v := range seekFrom(tx.Bucket(bucketForeign), nil) {
		if n++; !bytes.Equal(wanted[string(k)], v) {
			return false, nil
		}
	}
	return n == len(wanted), nil
}

func encodeForeign(all []ForeignAddress) (map[string][]byte, error) {
	encoded := make(map[string][]byte, len(all))
	for i := range all {
		data, err := json.Marshal(&all[i])
		if err != nil {
			return nil, fmt.Errorf("address %s of another program: %w", all[i].Addr, err)
		}
		encoded[string(all[i].key())] = data
	}
	return encoded, nil
}

// ForeignAddresses returns the addresses of other programs from one address on, in order. Those
// of IPv4 are IPv4-mapped in the order.
func (tx *Tx) ForeignAddresses(from netip.Addr) iter.Seq2[ForeignAddress, error] {
	start := (&ForeignAddress{Addr: from}).key()
	return func(yield func(ForeignAddress, error) bool) {
		for k, v := range seekFrom(tx.Bucket(bucketForeign), start) {
			f, err := decodeForeign(k, v)
			if !yield(f, err) {
				return
			}
		}
	}
}

func decodeForeign(k, v []byte) (f ForeignAddress, err error) {
	if len(k) != 20 {
		return f, fmt.Errorf("address %x of another program: its key has %d bytes", k, len(k))
	}
	if err := json.Unmarshal(v, &f); err != nil {
		return f, fmt.Errorf("address %x of another program: %w", k, err)
	}
	f.Addr = netip.AddrFrom16([16]byte(k)).Unmap()
	f.ParentIndex = int(binary.BigEndian.Uint32(k[16:]))
	return f, nil
}
