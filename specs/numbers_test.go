package specs

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// randomNumbers returns numbers of which some are 0.
func randomNumbers(r *rand.Rand) (n Numbers) {
	for i := range n {
		if r.IntN(3) == 0 {
			n[i] = r.Uint64()
		}
	}
	return n
}

// TestNumbersAreTheCounters requires that counters survive their list, packed and not.
func TestNumbersAreTheCounters(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var packed []uint64
	var all []Numbers
	for id := range uint64(200) {
		n := randomNumbers(r)
		c := n.Counters()
		if got := c.Numbers(); got != n {
			t.Fatalf("%v became %v", n, got)
		}
		packed, all = AppendPacked(packed, id, &n), append(all, n)
	}
	if err := EachPacked(packed, func(id uint64, n *Numbers) {
		if *n != all[id] {
			t.Errorf("endpoint %d: %v, want %v", id, *n, all[id])
		}
	}); err != nil {
		t.Error(err)
	}
	c := Counters{Receive: Traffic{External: Casts{Unicast: Count{Packets: 1, Bytes: 2}}}, Transmit: Traffic{Local: Casts{Broadcast: Count{Packets: 3, Bytes: 4}}}}
	if n := c.Numbers(); n[6] != 1 || n[7] != 2 || n[16] != 3 || n[17] != 4 {
		t.Errorf("order of the numbers: %v", n)
	}
}

// FuzzEachPacked requires that a list is refused, or is the one that its endpoints make, except for
// numbers that are 0.
func FuzzEachPacked(f *testing.F) {
	f.Add(uint64(1), uint64(3), uint64(7), uint64(8), 4)
	f.Add(uint64(1), uint64(1<<24), uint64(7), uint64(8), 4)
	f.Add(uint64(1), uint64(3), uint64(7), uint64(8), 3)
	f.Add(uint64(1), uint64(0), uint64(2), uint64(0), 4)
	f.Fuzz(func(t *testing.T, a, b, c, d uint64, n int) {
		list := []uint64{a, b, c, d}[:max(0, min(n, 4))]
		var again []uint64
		if EachPacked(list, func(id uint64, n *Numbers) { again = AppendPacked(again, id, n) }) != nil {
			return
		}
		if !slices.Contains(list, 0) && !slices.Equal(list, again) {
			t.Errorf("%v became %v", list, again)
		}
	})
}
