package lease

import (
	"fmt"
	"net/netip"
	"time"

	"berth/internal/plain"
	"berth/internal/state"
)

// bucketReserved holds the reservations by their keys.
const bucketReserved = "reserved"

// Reservation is an address that an engine holds for a container. It begins before the container
// has an interface, and ends when the engine gives the address back. Until an attachment takes
// the address over, the reservation holds the lease.
type Reservation struct {
	Key      string        `json:"-"` // see ReservationKey
	Domain   string        `json:"domain"`
	Addr     netip.Addr    `json:"addr"`
	Network  string        `json:"network,omitempty"`  // "" if defined in place
	Endpoint string        `json:"endpoint,omitempty"` // the engine's, or "" if it has none yet
	Since    time.Duration `json:"since"`              // by CLOCK_BOOTTIME
}

// ReservationKey returns the key of an address of an engine's pool. It is the owner of the
// reservation's lease: attachments have keys of another form.
func ReservationKey(pool string, a netip.Addr) string { return "reserved " + pool + " " + a.String() }

// FindReservation returns a reservation, or nil if there is none.
func FindReservation(tx *state.Tx, key string) (*Reservation, error) {
	b := tx.Bucket(bucketReserved)
	if b == nil {
		return nil, nil
	}
	data := b.Get([]byte(key))
	if data == nil {
		return nil, nil
	}
	return decodeReservation(key, data)
}

func decodeReservation(key string, data []byte) (*Reservation, error) {
	r := &Reservation{Key: key}
	if err := plain.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("reservation %q: %w: %w", key, state.ErrDamaged, err)
	}
	return r, nil
}

// PutReservation stores a reservation. The caller has leased its address to the owner of its key.
func PutReservation(tx *state.Tx, r *Reservation) error {
	data, err := plain.Marshal(r)
	if err != nil {
		return err
	}
	if err := tx.Bucket(bucketReserved).Put([]byte(r.Key), data); err != nil {
		return fmt.Errorf("reserve %s: %w", r.Addr, err)
	}
	return nil
}

// Owner returns the owner of the reservation's lease.
func (r *Reservation) Owner() Owner {
	return Owner{Key: r.Key, Container: r.Endpoint, Network: r.Network, Reserved: true}
}

// FreeForClaim frees the lease of a reservation, so that an attachment can claim the address in
// the same transaction. The reservation itself stays. It succeeds if there is none.
func FreeForClaim(tx *state.Tx, key string) error {
	r, err := FindReservation(tx, key)
	if err != nil || r == nil {
		return err
	}
	return In(tx, r.Domain).Release(key)
}

// EndReservation deletes a reservation, and frees its lease if no attachment has taken it over.
// It succeeds if there is none.
func EndReservation(tx *state.Tx, key string) error {
	if err := FreeForClaim(tx, key); err != nil {
		return err
	}
	return tx.Bucket(bucketReserved).Delete([]byte(key))
}

// Reservations returns all reservations.
func Reservations(tx *state.Tx) (all []*Reservation, err error) {
	b := tx.Bucket(bucketReserved)
	if b == nil {
		return nil, nil
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		r, err := decodeReservation(string(k), v)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}
