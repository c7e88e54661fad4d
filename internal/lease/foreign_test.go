package lease_test

import (
	"net/netip"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// foreignAddresses are addresses that other programs have on parent 4, on another, and on an
// unknown one.
func foreignAddresses() []state.ForeignAddress {
	return []state.ForeignAddress{
		{Addr: netip.MustParseAddr("192.0.2.64"), ParentIndex: 5, Holder: "eth0 of far"},
		{Addr: netip.MustParseAddr("192.0.2.65"), ParentIndex: 4, Holder: "eth0 of cam"},
		{Addr: netip.MustParseAddr("192.0.2.65"), ParentIndex: 7, Holder: "eth0 of far"},
		{Addr: netip.MustParseAddr("192.0.2.66"), Holder: "docker:home"},
	}
}

func pool(order specs.Reuse, given string) *ipam.Pool {
	return ipam.NewPool("lan", specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix(given)}, nil).WithReuse(order)
}

// TestForeignAddressesAreNotGivenOut leases a whole range in which other programs have addresses:
// those of the parent and those of an unknown one are left out in each order.
func TestForeignAddressesAreNotGivenOut(t *testing.T) {
	t.Parallel()
	for _, order := range []specs.Reuse{"", specs.ReuseOldest} {
		inScratch(t, func(tx *state.Tx) {
			must(t, tx.SetForeignAddresses(foreignAddresses()))
			l, p := lease.In(tx, "4.0"), pool(order, "192.0.2.64/30")
			for i, want := range []string{"192.0.2.64", "192.0.2.67"} {
				if a, err := l.Take(p, testOwner(i)); err != nil || a.String() != want {
					t.Errorf("order %q: %s, %v, want %s", order, a, err, want)
				}
			}
			_, err := l.Take(p, testOwner(2))
			const want = `network "lan": all 4 addresses of 192.0.2.64/30 are held, by ca (192.0.2.64), cb (192.0.2.67)` +
				`; programs other than berth have 2, as 192.0.2.65 (eth0 of cam): choose an ip_range without theirs`
			if got := errorText(err); got != want {
				t.Errorf("order %q: error\n%s\nwant\n%s", order, got, want)
			}
		})
	}
}

// TestForeignAddressReleased does not lease an address again that another program has got, and
// leases it once it is released.
func TestForeignAddressReleased(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		l, p, a := lease.In(tx, "4.0"), pool(specs.ReuseOldest, "192.0.2.65/32"), netip.MustParseAddr("192.0.2.65")
		if got, err := l.Take(p, testOwner(1)); err != nil || got != a {
			t.Fatalf("%s, %v, want %s", got, err, a)
		}
		must(t, l.Release(testOwner(1).Key))
		must(t, tx.SetForeignAddresses(foreignAddresses()))
		if again, err := l.TakeAgain(p, a, testOwner(1)); err != nil || again {
			t.Errorf("leased again: %t, %v, want false", again, err)
		}
		if got, err := l.Take(p, testOwner(1)); !isExhausted(err) {
			t.Errorf("%s, %v, want no address", got, err)
		}
		must(t, tx.SetForeignAddresses(nil))
		if got, err := l.Take(p, testOwner(1)); err != nil || got != a {
			t.Errorf("%s, %v, want %s", got, err, a)
		}
	})
}

// TestForeignAddressRequested leases a requested address although another program has it: the
// probe decides.
func TestForeignAddressRequested(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		must(t, tx.SetForeignAddresses(foreignAddresses()))
		must(t, lease.In(tx, "4.0").Claim(pool("", "192.0.2.64/26"), netip.MustParseAddr("192.0.2.65"), testOwner(1)))
	})
}

// TestForeignAddressOnVLAN leaves out an address on any parent if the parent is a VLAN.
func TestForeignAddressOnVLAN(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		must(t, tx.SetForeignAddresses(foreignAddresses()))
		if a, err := lease.In(tx, "4.100").Take(pool("", "192.0.2.64/29"), testOwner(1)); err != nil || a.String() != "192.0.2.67" {
			t.Errorf("%s, %v, want 192.0.2.67", a, err)
		}
	})
}

// TestForeignAddressesAreNotFree counts an address of another program in an open block as not free, once,
// on whatever parent it is; and not one that is leased, or in no open block.
func TestForeignAddressesAreNotFree(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		l, p := lease.In(tx, "4.0"), sharedPool(specs.ReuseLowest)
		must(t, lease.ResetParts(tx, "lan-hq", []lease.Part{block("192.0.2.72/29")}))
		wantBytes(t, "leased", takeEach(t, l, p, 1), "72")
		var all []state.ForeignAddress
		for _, a := range []string{"192.0.2.72", "192.0.2.73", "192.0.2.80", "198.51.100.73"} {
			for _, parent := range []int{4, 7} {
				all = append(all, state.ForeignAddress{Addr: netip.MustParseAddr(a), ParentIndex: parent, Holder: "eth0 of cam"})
			}
		}
		must(t, tx.SetForeignAddresses(all))
		if n, err := lease.SharedFree(tx, "lan-hq", p); n != 6 || err != nil {
			t.Errorf("%d are free, %v; want 6", n, err)
		}
	})
}
