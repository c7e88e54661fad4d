package lease_test

import (
	"errors"
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// TestReservation follows an address from its reservation over an attachment to its end: it has
// one holder at any time, and the end of the reservation takes nothing from an attachment.
func TestReservation(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	pool, addr := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}, nil), netip.MustParseAddr("192.0.2.7")
	r := &lease.Reservation{Key: lease.ReservationKey("pool", addr), Domain: "4.0", Addr: addr, Network: "lan"}
	other := testOwner(1)
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		l := lease.In(tx, "4.0")
		if err := errors.Join(l.Claim(pool, addr, r.Owner()), lease.PutReservation(tx, r)); err != nil {
			return err
		}
		var inUse *lease.InUseError
		if err := l.Claim(pool, addr, other); !errors.As(err, &inUse) || inUse.Error() != `address 192.0.2.7 is reserved for another container (network "lan")` {
			t.Errorf("a claim of a reserved address: %v", err)
		}
		if err := errors.Join(lease.FreeForClaim(tx, r.Key), l.Claim(pool, addr, other), lease.EndReservation(tx, r.Key)); err != nil {
			return err
		}
		if h, err := l.Holder(addr); err != nil || h == nil || h.Owner != other.Key {
			t.Errorf("after the reservation the address is held by %+v, %v", h, err)
		}
		left, err := lease.FindReservation(tx, r.Key)
		if left != nil {
			t.Errorf("left %+v", left)
		}
		return errors.Join(err, lease.FreeForClaim(tx, r.Key), lease.EndReservation(tx, r.Key))
	})
	if err != nil {
		t.Fatal(err)
	}
}
