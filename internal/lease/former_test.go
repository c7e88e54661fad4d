package lease_test

import (
	"net/netip"
	"slices"
	"testing"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

func addresses(all ...string) (parsed []netip.Addr) {
	for _, a := range all {
		parsed = append(parsed, netip.MustParseAddr(a))
	}
	return parsed
}

// TestFormer checks that former addresses are found by domain and container, and that an address
// is missing only if it is of the range, and of no open part.
func TestFormer(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		web, all := lease.FormerID("web", "net1"), addresses("192.0.2.72", "192.0.2.80", "192.0.2.200")
		must(t, lease.SetFormer(tx, "lan-hq", web, all))
		must(t, lease.SetFormer(tx, "other", web, all[:1]))
		if got, err := lease.Former(tx, "lan-hq", web); err != nil || !slices.Equal(got, all) {
			t.Errorf("former addresses %v, %v", got, err)
		}
		must(t, lease.OpenPart(tx, "lan-hq", block("192.0.2.72/29")))
		missing, err := lease.Missing(tx, []*ipam.Pool{sharedPool(specs.ReuseOldest)}, all)
		if err != nil || !slices.Equal(missing, all[1:2]) {
			t.Errorf("missing %v, %v", missing, err)
		}
		must(t, lease.ResetFormer(tx, "lan-hq"))
		must(t, lease.SetFormer(tx, "other", web, nil))
		for _, domain := range []string{"lan-hq", "other"} {
			if got, err := lease.Former(tx, domain, web); err != nil || got != nil {
				t.Errorf("former addresses of %s: %v, %v", domain, got, err)
			}
		}
	})
}

// TestUntold checks that each memory is found once, and again after it is stored again.
func TestUntold(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		untold := func() (names []string) {
			all, err := lease.Untold(tx)
			must(t, err)
			for _, r := range all {
				names = append(names, r.Network+" "+r.Name+" "+r.Interface)
				must(t, lease.SetTold(tx, r.Order))
			}
			return names
		}
		for _, name := range []string{"web", "db"} {
			must(t, lease.Remember(tx, lease.StickyKey("lan", name, "net1"), lease.Memory{Addresses: addresses("192.0.2.72")}))
		}
		if got := untold(); !slices.Equal(got, []string{"lan web net1", "lan db net1"}) {
			t.Errorf("untold are %q", got)
		}
		must(t, lease.Remember(tx, lease.StickyKey("lan", "web", "net1"), lease.Memory{Addresses: addresses("192.0.2.73")}))
		if got := untold(); !slices.Equal(got, []string{"lan web net1"}) || untold() != nil {
			t.Errorf("untold are %q, then %q", got, untold())
		}
	})
}
