package lease_test

import (
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// TestMove moves an owner's leases to a domain in which another owner holds one
// of the addresses: that one stays behind, and no address has two holders.
func TestMove(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		from, to := lease.In(tx, "2.0"), lease.In(tx, "3.0")
		pool := ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24")}, nil)
		first, second := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
		mac := specs.MAC{2, 0, 0, 0, 0, 7}
		must(t, from.Claim(pool, first, owner(1)))
		must(t, from.Claim(pool, second, owner(1)))
		must(t, from.ClaimMAC(mac, owner(1)))
		must(t, to.Claim(pool, second, owner(2)))
		held, err := lease.Move(tx, owner(1).Key, "2.0", "3.0")
		must(t, err)
		if len(held) != 1 || held[0].Addr != second || held[0].Owner != owner(2).Key {
			t.Errorf("held by others: %+v", held)
		}
		for addr, want := range map[netip.Addr]string{first: owner(1).Key, second: owner(2).Key} {
			if is, err := to.Holder(addr); err != nil || is == nil || is.Owner != want {
				t.Errorf("%s is held by %+v, %v; want %s", addr, is, err, want)
			}
		}
		if is, err := from.Holder(first); err != nil || is != nil {
			t.Errorf("%s is held where it was: %+v, %v", first, is, err)
		}
		if next, err := to.Take(pool, owner(3)); err != nil || next == first || next == second {
			t.Errorf("the next address is %s, %v", next, err)
		}
		if err := to.ClaimMAC(mac, owner(3)); err == nil {
			t.Error("the MAC is free")
		}
		must(t, to.Release(owner(1).Key))
		must(t, from.Release(owner(1).Key))
		must(t, to.ClaimMAC(mac, owner(3)))
		must(t, to.Claim(pool, first, owner(3)))
	})
}
