package lease_test

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

func oldestPool(network, subnet string) *ipam.Pool {
	return ipam.NewPool(network, specs.Subnet{Subnet: netip.MustParsePrefix(subnet)}, nil).WithReuse(specs.ReuseOldest)
}

// lastBytes returns the last byte of each address.
func lastBytes(all []netip.Addr) string {
	var b strings.Builder
	for _, a := range all {
		bytes := a.AsSlice()
		fmt.Fprintf(&b, "%d ", bytes[len(bytes)-1])
	}
	return strings.TrimSpace(b.String())
}

// takeEach takes an address for each owner.
func takeEach(t *testing.T, l *lease.Leases, p *ipam.Pool, owners ...int) (all []netip.Addr) {
	t.Helper()
	for _, i := range owners {
		a, err := l.Take(p, testOwner(i))
		must(t, err)
		all = append(all, a)
	}
	return all
}

func wantBytes(t *testing.T, of string, got []netip.Addr, want string) {
	t.Helper()
	if lastBytes(got) != want {
		t.Errorf("%s: %s, want %s", of, lastBytes(got), want)
	}
}

func TestReleasedAddressesComeLast(t *testing.T) {
	t.Parallel()
	for _, subnet := range []string{"192.0.2.0/29", "2001:db8::/125"} {
		inDomain(t, func(l *lease.Leases) {
			p := oldestPool("lan", subnet)
			wantBytes(t, "a new pool", takeEach(t, l, p, 1, 2, 3), "1 2 3")
			for _, i := range []int{2, 1} {
				must(t, l.Release(testOwner(i).Key))
			}
			left, next := "4 5 6 7 ", "2 1"
			if p.Prefix().Addr().Is4() {
				left = "4 5 6 " // 7 is the broadcast address
			}
			wantBytes(t, "next", l.NextFree(p, 10), left+next)
			wantBytes(t, "next two", l.NextFree(p, 2), "4 5")
			fresh := len(strings.Fields(left))
			wantBytes(t, "taken", takeEach(t, l, p, []int{4, 5, 6, 7, 8, 9}[:fresh+2]...), left+next)
			if _, err := l.Take(p, testOwner(20)); !isExhausted(err) {
				t.Errorf("a full pool: %v", err)
			}
			must(t, l.Release(testOwner(3).Key))
			must(t, l.Release(testOwner(4).Key))
			wantBytes(t, "released again", l.NextFree(p, 10), "3 4")
			wantBytes(t, "lowest", l.NextFree(p.WithReuse(specs.ReuseLowest), 1), "3")
		})
	}
}

// TestRequestedAddressIsNotNext requires that an address that was requested counts as released
// when its container ends, and that a held one is never next.
func TestRequestedAddressIsNotNext(t *testing.T) {
	t.Parallel()
	inDomain(t, func(l *lease.Leases) {
		p := oldestPool("lan", "192.0.2.0/29")
		must(t, l.Claim(p, netip.MustParseAddr("192.0.2.1"), testOwner(1)))
		must(t, l.ReleaseAddr(netip.MustParseAddr("192.0.2.1"), testOwner(1).Key))
		wantBytes(t, "next", l.NextFree(p, 9), "2 3 4 5 6 1")
		must(t, l.Claim(oldestPool("other", "192.0.2.0/29"), netip.MustParseAddr("192.0.2.1"), testOwner(2)))
		wantBytes(t, "next, one held by another network", l.NextFree(p, 9), "2 3 4 5 6")
	})
}

// TestReleasesOutliveTheDomain requires that the order is kept if the parent has another index,
// and in a store that is opened again.
func TestReleasesOutliveTheDomain(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	p := oldestPool("lan", "192.0.2.0/29")
	must(t, s.Update(t.Context(), func(tx *state.Tx) error {
		takeEach(t, lease.In(tx, "4.0"), p, 1, 2)
		if held, err := lease.Move(tx, testOwner(2).Key, "4.0", "5.0"); err != nil || len(held) > 0 {
			t.Errorf("move: %v, %v", held, err)
		}
		must(t, lease.In(tx, "5.0").Release(testOwner(2).Key))
		return lease.In(tx, "4.0").Release(testOwner(1).Key)
	}))
	must(t, state.Open(filepath.Dir(s.Dir())).View(t.Context(), func(tx *state.Tx) error {
		wantBytes(t, "next", lease.In(tx, "6.0").NextFree(p, 9), "3 4 5 6 2 1")
		return nil
	}))
}

func TestReleasesAreBounded(t *testing.T) {
	t.Parallel()
	inDomain(t, func(l *lease.Leases) {
		p := oldestPool("lan", "2001:db8::/64")
		a := p.Prefix().Addr()
		for range lease.MaxReleased + 2 {
			a = a.Next()
			must(t, l.Claim(p, a, testOwner(1)))
			must(t, l.Release(testOwner(1).Key))
		}
		first := p.Prefix().Addr().Next()
		want := []netip.Addr{first, first.Next(), a.Next()} // two are forgotten, the next was never used
		if got := l.NextFree(p, 3); !slices.Equal(got, want) {
			t.Errorf("next: %v, want %v", got, want)
		}
	})
}
