package lease

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

func TestStickyRemembersTheNewest(t *testing.T) {
	t.Parallel()
	s := state.Open(t.TempDir())
	want := Memory{Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, MAC: specs.MAC{2, 0, 0, 0, 0, 7}}
	const more = 10
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		for i := range MaxSticky + more {
			if err := Remember(tx, StickyKey("lan", fmt.Sprint("c", i), "net1"), want); err != nil {
				return err
			}
			// This one is stored again and again, so it is never the oldest.
			if err := Remember(tx, StickyKey("lan", "busy", "net1"), want); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = s.View(t.Context(), func(tx *state.Tx) error {
		kept := 0
		for i := range MaxSticky + more {
			m, err := Recall(tx, StickyKey("lan", fmt.Sprint("c", i), "net1"))
			if err != nil {
				return err
			}
			if len(m.Addresses) > 0 {
				kept++
			}
		}
		if kept > MaxSticky || kept < MaxSticky/2-1 {
			t.Errorf("%d are remembered", kept)
		}
		got, err := Recall(tx, StickyKey("lan", "busy", "net1"))
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Memory{}, "Order"), cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
			t.Errorf("the one in use: (-want +got)\n%s", diff)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestTakeAgain(t *testing.T) {
	t.Parallel()
	s := state.Open(t.TempDir())
	subnet := specs.Subnet{Subnet: netip.MustParsePrefix("192.0.2.0/24"), IPRange: netip.MustParsePrefix("192.0.2.64/26"), Gateway: netip.MustParseAddr("192.0.2.65")}
	pool := ipam.NewPool("lan", subnet, nil)
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		l := In(tx, "7.0")
		for _, c := range []struct {
			addr, owner string
			want        bool
		}{
			{"192.0.2.70", "a", true},
			{"192.0.2.70", "b", false}, // held
			{"192.0.2.65", "b", false}, // the gateway
			{"192.0.2.7", "b", false},  // outside this host's part of the subnet
			{"198.51.100.7", "b", false},
			{"192.0.2.71", "b", true},
		} {
			got, err := l.TakeAgain(pool, netip.MustParseAddr(c.addr), Owner{Key: c.owner})
			if err != nil {
				return err
			}
			if got != c.want {
				t.Errorf("%s for %s: %v, want %v", c.addr, c.owner, got, c.want)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
