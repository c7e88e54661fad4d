package lease_test

import (
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// TestMove moves an owner's leases to a domain in which another owner holds one of the
// addresses: all stay behind until the other owner has released it.
func TestMove(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		from, to := lease.In(tx, "2.0"), lease.In(tx, "3.0")
		pool := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}, nil)
		first, second := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
		mac := specs.MAC{2, 0, 0, 0, 0, 7}
		must(t, from.Claim(pool, first, testOwner(1)))
		must(t, from.Claim(pool, second, testOwner(1)))
		must(t, from.ClaimMAC(mac, testOwner(1)))
		must(t, to.Claim(pool, second, testOwner(2)))
		held, err := lease.Move(tx, testOwner(1).Key, "2.0", "3.0")
		must(t, err)
		if len(held) != 1 || held[0].Addr != second || held[0].Owner != testOwner(2).Key {
			t.Errorf("held by others: %+v", held)
		}
		for _, addr := range []netip.Addr{first, second} {
			if is, err := from.Holder(addr); err != nil || is == nil || is.Owner != testOwner(1).Key {
				t.Errorf("%s is held by %+v, %v", addr, is, err)
			}
		}
		must(t, to.Release(testOwner(2).Key))
		if held, err := lease.Move(tx, testOwner(1).Key, "2.0", "3.0"); err != nil || len(held) > 0 {
			t.Errorf("held by others: %+v, %v", held, err)
		}
		for _, addr := range []netip.Addr{first, second} {
			if is, err := to.Holder(addr); err != nil || is == nil || is.Owner != testOwner(1).Key {
				t.Errorf("%s is held by %+v, %v", addr, is, err)
			}
		}
		if is, err := from.Holder(first); err != nil || is != nil {
			t.Errorf("%s is held where it was: %+v, %v", first, is, err)
		}
		if next, err := to.Take(pool, testOwner(3)); err != nil || next == first || next == second {
			t.Errorf("the next address is %s, %v", next, err)
		}
		if err := to.ClaimMAC(mac, testOwner(3)); err == nil {
			t.Error("the MAC is free")
		}
		must(t, to.Release(testOwner(1).Key))
		must(t, from.Release(testOwner(1).Key))
		must(t, to.ClaimMAC(mac, testOwner(3)))
		must(t, to.Claim(pool, first, testOwner(3)))
	})
}
