package bpf

import (
	"os"
	"testing"

	"github.com/cilium/ebpf"

	"berth/internal/testnet"
)

// TestNoSlotIsZeroedBeforeItsCountsAreTakenOver leaves the mark of an agent that was killed while it
// replaced maps: a slot that is zeroed then would get the counts of the earlier maps again.
func TestNoSlotIsZeroedBeforeItsCountsAreTakenOver(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	x := spoofBench(t, nameless)
	mark, err := ebpf.NewMap(&ebpf.MapSpec{Name: "mark", Type: ebpf.Array, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	must(t, err)
	defer mark.Close()
	path := x.pins.objectPath(pinMigrating)
	must(t, mark.Pin(path))
	if err := x.maps.Zero(slotA); err == nil {
		t.Error("the slot was zeroed")
	}
	must(t, os.Remove(path))
	must(t, x.maps.Zero(slotA))
}
