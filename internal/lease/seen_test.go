package lease_test

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
)

func TestSightings(t *testing.T) {
	t.Parallel()
	wire := lease.LinkState{Index: 7, Changes: 3}
	at := func(addr string, at time.Duration) lease.Sighting {
		return lease.Sighting{Addr: netip.MustParseAddr(addr), At: at, Listened: 100 * time.Millisecond, Link: wire}
	}
	a, b := at("192.0.2.2", time.Hour), at("2001:db8::2", time.Hour+time.Second)
	store := state.Open(t.TempDir() + "/berth")
	err := store.Update(t.Context(), func(tx *state.Tx) error {
		if err := lease.See(tx, "4.0", time.Hour+time.Second, []lease.Sighting{a, b}); err != nil {
			return err
		}
		if got := lease.Sightings(tx, "4.0"); !slices.Equal(got, []lease.Sighting{a, b}) {
			t.Errorf("read back %v", got)
		}
		if got := lease.Sightings(tx, "5.0"); got != nil {
			t.Errorf("of another domain: %v", got)
		}
		if err := lease.See(tx, "4.0", time.Hour+lease.SeenFor, nil); err != nil { // a has expired
			return err
		}
		if got := lease.Sightings(tx, "4.0"); !slices.Equal(got, []lease.Sighting{b}) {
			t.Errorf("after the expiry of %v: %v", a.Addr, got)
		}
		var many []lease.Sighting
		for i := range 300 {
			many = append(many, at(netip.AddrFrom4([4]byte{198, 51, byte(i / 256), byte(i)}).String(), time.Hour+lease.SeenFor))
		}
		if err := lease.See(tx, "4.0", time.Hour+lease.SeenFor, many); err != nil {
			return err
		}
		if got := lease.Sightings(tx, "4.0"); len(got) != 128 || got[127] != many[299] {
			t.Errorf("%d sightings, want the last 128", len(got))
		}
		return lease.Unsee(tx, "4.0", many[299].Addr, netip.MustParseAddr("192.0.2.9"))
	})
	if err != nil {
		t.Fatal(err)
	}
	err = store.View(t.Context(), func(tx *state.Tx) error {
		if got := lease.Sightings(tx, "4.0"); len(got) != 127 {
			t.Errorf("%d sightings, want 127", len(got))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestASightingCovers(t *testing.T) {
	t.Parallel()
	wire, listened := lease.LinkState{Index: 7, Changes: 3}, 100*time.Millisecond
	s := lease.Sighting{Addr: netip.MustParseAddr("192.0.2.2"), At: time.Hour, Listened: listened, Link: wire}
	running := s
	running.Listened = 0
	for _, test := range []struct {
		what   string
		s      lease.Sighting
		now    time.Duration
		listen time.Duration
		link   lease.LinkState
		want   bool
	}{
		{"fresh", s, time.Hour + time.Second, listened, wire, true},
		{"at once", s, time.Hour, listened, wire, true},
		{"expired", s, time.Hour + lease.SeenFor, listened, wire, false},
		{"from the future", s, time.Hour - 1, listened, wire, false},
		{"listened for a shorter time", s, time.Hour, listened + time.Millisecond, wire, false},
		{"another parent", s, time.Hour, listened, lease.LinkState{Index: 8, Changes: 3}, false},
		{"another wire", s, time.Hour, listened, lease.LinkState{Index: 7, Changes: 4}, false},
		{"not over", running, time.Hour, 0, wire, false},
		{"none", lease.Sighting{}, 0, 0, lease.LinkState{}, false},
	} {
		if got := test.s.Covers(test.now, test.listen, test.link); got != test.want {
			t.Errorf("%s: %v", test.what, got)
		}
	}
	if !running.Running(time.Hour+time.Second, listened) || running.Running(time.Hour+listened+time.Second, listened) || s.Running(time.Hour, listened) {
		t.Error("Running")
	}
}
