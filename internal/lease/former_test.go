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

// remembered stores the memory of a container.
func remembered(t *testing.T, tx *state.Tx, network, name string) {
	t.Helper()
	must(t, lease.Remember(tx, lease.StickyKey(network, name, "net1"), lease.Memory{Addresses: addresses("192.0.2.72")}))
}

// untold returns the memories that were not published yet, and records that they were.
func untold(t *testing.T, tx *state.Tx, networks ...string) (names []string) {
	t.Helper()
	set := map[string]bool{}
	for _, n := range networks {
		set[n] = true
	}
	for {
		u := lease.ReadUntold(tx, set, 2)
		for _, r := range u.Memories {
			names = append(names, r.Network+" "+r.Name)
		}
		for _, err := range u.Damaged {
			names = append(names, err.Error())
		}
		if u.Last == 0 {
			return names
		}
		must(t, lease.SetTold(tx, set, u.Last))
	}
}

// TestUntold checks that each memory of the networks is found once, and again after it is stored
// again; that those of other networks wait; and that one that cannot be read stops no other.
func TestUntold(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		expect := func(got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("untold are %q, want %q", got, want)
			}
		}
		expect(untold(t, tx, "lan"))
		for _, name := range []string{"web", "db", "cache"} {
			remembered(t, tx, "lan", name)
			remembered(t, tx, "broken", name)
		}
		expect(untold(t, tx, "lan"), "lan web", "lan db", "lan cache")
		remembered(t, tx, "lan", "web")
		expect(untold(t, tx, "lan"), "lan web")
		expect(untold(t, tx, "lan", "broken"), "broken web", "broken db", "broken cache")
		expect(untold(t, tx, "lan", "broken"))
		remembered(t, tx, "lan", "bad")
		must(t, tx.Bucket("sticky").Put([]byte(lease.StickyKey("lan", "bad", "net1")), []byte("x")))
		remembered(t, tx, "lan", "good")
		expect(untold(t, tx, "lan"), "lan good",
			`read the sticky addresses of "lan\x00bad\x00net1": invalid character 'x' looking for beginning of value`)
		remembered(t, tx, "lan", "bad")
		expect(untold(t, tx, "lan"), "lan bad")
	})
}

func countKeys(tx *state.Tx, bucket string) (n int) {
	c := tx.Bucket(bucket).Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		n++
	}
	return n
}

// TestToldIsBounded checks that networks whose memories are all forgotten leave no record.
func TestToldIsBounded(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		for _, name := range []string{"one", "two", "three"} {
			remembered(t, tx, name, "web")
			untold(t, tx, name)
		}
		for range lease.MaxSticky {
			remembered(t, tx, "lan", "web")
		}
		untold(t, tx, "lan")
		if n := countKeys(tx, "shared told"); n != 1 {
			t.Errorf("%d networks are recorded", n)
		}
	})
}

// TestDamagedMemory checks that a memory that cannot be read is replaced, and that the one that has
// replaced it is not forgotten in its place.
func TestDamagedMemory(t *testing.T) {
	t.Parallel()
	inScratch(t, func(tx *state.Tx) {
		key := lease.StickyKey("lan", "web", "net1")
		remembered(t, tx, "lan", "web")
		must(t, tx.Bucket("sticky").Put([]byte(key), []byte("x")))
		must(t, lease.NoteReturned(tx, key))
		for range lease.MaxSticky - 1 {
			remembered(t, tx, "lan", "other")
		}
		for range 3 {
			remembered(t, tx, "lan", "web")
		}
		if m, err := lease.Recall(tx, key); err != nil || len(m.Addresses) == 0 {
			t.Errorf("the memory is %+v, %v", m, err)
		}
		if n := countKeys(tx, "sticky order"); n != 2 {
			t.Errorf("%d memories are in order", n)
		}
	})
}
