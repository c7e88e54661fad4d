package bpf

import (
	"fmt"
	"testing"

	"berth/specs"
)

// TestAllCounters reads many slots at once, beyond the size of a batch.
func TestAllCounters(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	for _, slot := range []uint32{2, 1000, 1023, 1024} {
		x.mustRegister(Endpoint{Slot: slot, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie})
		for range slot {
			x.runFrame(egress, plainFrame(macLAN, macB), nil)
		}
	}
	all, err := x.maps.AllCounters(1 << 20)
	must(t, err)
	if slots := x.maps.Slots(); slots != 1025 || len(all) != 1025 {
		t.Fatalf("%d slots of %d", len(all), slots)
	}
	for slot, got := range all {
		want := uint64(0)
		switch slot {
		case 2, 1000, 1023, 1024:
			want = uint64(slot)
		}
		if n := got.Transmit.Total().Packets; n != want {
			t.Errorf("slot %d has %d packets, want %d", slot, n, want)
		}
	}
	if some, err := x.maps.AllCounters(3); err != nil || len(some) != 3 || some[2] != all[2] {
		t.Errorf("the first three: %v, %v", some, err)
	}
	if c, err := x.maps.Counters(1025); err == nil {
		t.Errorf("a slot that is not there has %s", fmt.Sprint(c))
	}
}
