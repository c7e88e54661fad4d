package lease_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// sharedPool returns a pool that nodes share.
func sharedPool(reuse specs.Reuse) *ipam.Pool {
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix("192.0.2.64/26")}
	n := &specs.Network{Name: "lan", IPAM: specs.IPAMCluster, Domain: "lan-hq", Reuse: reuse, Subnets: []specs.Subnet{subnet}}
	return ipam.PoolOf(n, subnet, nil)
}

func block(prefix string) lease.Part { return lease.Part{Prefix: netip.MustParsePrefix(prefix)} }

// TestSharedPoolLeasesOpenParts checks that addresses come from open parts alone, in the order
// of the pool, and that a part with a lease is not closed, except by force.
func TestSharedPoolLeasesOpenParts(t *testing.T) {
	t.Parallel()
	for _, reuse := range []specs.Reuse{specs.ReuseLowest, specs.ReuseOldest} {
		inScratch(t, func(tx *state.Tx) {
			l, p := lease.In(tx, "4.0"), sharedPool(reuse)
			var exhausted *lease.ExhaustedError
			if _, err := l.Take(p, testOwner(1)); !errors.As(err, &exhausted) || exhausted.Shared != "lan-hq" || exhausted.Size != 0 {
				t.Errorf("Take without a part: %v", err)
			}
			must(t, lease.ResetParts(tx, "lan-hq", []lease.Part{block("192.0.2.80/30"), block("192.0.2.72/31"), {MAC: [2]byte{0x13, 1}}}))
			must(t, lease.OpenPart(tx, "other", block("192.0.2.64/29")))
			wantBytes(t, "of two blocks", takeEach(t, l, p, 1, 2, 3, 4), "72 73 80 81")
			if closed, err := lease.ClosePart(tx, "lan-hq", block("192.0.2.80/30"), false); closed || err != nil {
				t.Errorf("a block with leases: closed %t, %v", closed, err)
			}
			must(t, l.Release(testOwner(3).Key))
			must(t, l.Release(testOwner(4).Key))
			if n, err := lease.SharedFree(tx, "lan-hq", p); n != 4 || err != nil {
				t.Errorf("%d are free, %v; want 4", n, err)
			}
			if closed, err := lease.ClosePart(tx, "lan-hq", block("192.0.2.80/30"), false); !closed || err != nil {
				t.Errorf("an empty block: closed %t, %v", closed, err)
			}
			if closed, err := lease.ClosePart(tx, "lan-hq", block("192.0.2.72/31"), true); !closed || err != nil {
				t.Errorf("by force: closed %t, %v", closed, err)
			}
			must(t, lease.SetTrouble(tx, "lan-hq", "etcd has not answered since 12:03:10"))
			if _, err := l.Take(p, testOwner(5)); !strings.HasSuffix(errorText(err), "; etcd has not answered since 12:03:10") {
				t.Errorf("Take from closed parts: %v", err)
			}
		})
	}
}

// TestReuseAcrossBlocks checks that the least recently released address of all blocks is next.
func TestReuseAcrossBlocks(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		l, p := lease.In(tx, "4.0"), sharedPool(specs.ReuseOldest)
		must(t, lease.ResetParts(tx, "lan-hq", []lease.Part{block("192.0.2.80/30"), block("192.0.2.72/31")}))
		wantBytes(t, "all", takeEach(t, l, p, 1, 2, 3, 4, 5, 6), "72 73 80 81 82 83")
		for _, i := range []int{4, 1, 6, 2} {
			must(t, l.Release(testOwner(i).Key))
		}
		wantBytes(t, "released in turn", takeEach(t, l, p, 7, 8, 9, 10), "81 72 83 73")
	})
}

// TestSharedRequests checks that a requested address, inside or outside of the range, needs an
// open part, and that a remembered one does.
func TestSharedRequests(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		l, p := lease.In(tx, "4.0"), sharedPool(specs.ReuseOldest)
		must(t, lease.ResetParts(tx, "lan-hq", []lease.Part{block("192.0.2.72/29"), block("192.0.2.9/32")}))
		for addr, owned := range map[string]bool{"192.0.2.75": true, "192.0.2.9": true, "192.0.2.64": false, "192.0.2.10": false} {
			a, foreign := netip.MustParseAddr(addr), new(lease.NotOwnedError)
			if err := l.Claim(p, a, testOwner(1)); (err == nil) != owned || !owned && (!errors.As(err, &foreign) || foreign.Addr != a) {
				t.Errorf("Claim(%s): %v", addr, err)
			}
		}
		for addr, owned := range map[string]bool{"192.0.2.76": true, "192.0.2.65": false} {
			if again, err := l.TakeAgain(p, netip.MustParseAddr(addr), testOwner(2)); again != owned || err != nil {
				t.Errorf("TakeAgain(%s): %t, %v", addr, again, err)
			}
		}
		leased, err := lease.SharedAddresses(tx, "lan-hq")
		must(t, err)
		wantBytes(t, "leased", leased, "9 75 76")
	})
}

// TestSharedMACs checks that a MAC has the node's prefix, also a derived one, and that a
// requested one of another prefix is refused, except docker's.
func TestSharedMACs(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		l := lease.In(tx, "4.0")
		if _, err := l.TakeSharedMAC("lan-hq", testOwner(1), specs.MAC{}); !errors.As(err, new(*lease.NotOwnedError)) {
			t.Errorf("without a prefix: %v", err)
		}
		must(t, lease.OpenPart(tx, "lan-hq", lease.Part{MAC: [2]byte{0x13, 0xc1}}))
		want := specs.MAC{0x02, 0xff, 0xff, 7, 8, 9}
		for i := range 3 {
			m, err := l.TakeSharedMAC("lan-hq", testOwner(i), want)
			if err != nil || m[0] != 2 || m[1] != 0x13 || m[2] != 0xc1 || (i == 0) != (m == specs.MAC{2, 0x13, 0xc1, 7, 8, 9}) {
				t.Errorf("MAC %d: %s, %v", i, m, err)
			}
		}
		for mac, owned := range map[specs.MAC]bool{{2, 0x13, 0xc1, 1, 1, 1}: true, {2, 0x13, 0xc2, 1, 1, 1}: false, {2, 0x42, 0xc2, 1, 1, 1}: true,
			{0x0a, 0x13, 0xc2, 1, 1, 1}: true} {
			if err := l.ClaimSharedMAC("lan-hq", mac, testOwner(9)); (err == nil) != owned {
				t.Errorf("ClaimSharedMAC(%s): %v", mac, err)
			}
		}
	})
}

// TestWishes checks that a wish waits until it is answered, by domain and address.
func TestWishes(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		a := netip.MustParseAddr("192.0.2.9")
		must(t, lease.Wish(tx, "lan-hq", netip.Addr{}))
		must(t, lease.Wish(tx, "lan-hq", a))
		must(t, lease.Wish(tx, "other", a))
		if all := lease.Wishes(tx, "lan-hq"); len(all) != 2 {
			t.Errorf("wishes: %v", all)
		}
		must(t, lease.AnswerWish(tx, "lan-hq", a))
		if lease.Wished(tx, "lan-hq", a) || !lease.Wished(tx, "lan-hq", netip.Addr{}) || !lease.Wished(tx, "other", a) {
			t.Error("the answer is to another wish")
		}
	})
}
