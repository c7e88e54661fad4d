package bpf

import (
	"fmt"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// TestBatchReadsEqualSingleReads compares batch reads with reads slot by slot, beyond the
// size of a batch too.
func TestBatchReadsEqualSingleReads(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	last := x.maps.Slots() - 1
	for _, slot := range []uint32{1, 500, last} {
		must(t, x.maps.putElement(mapViolations, slot, violations{Of: [numKinds]violation{{Packets: uint64(slot)}}}))
		x.mustRegister(Endpoint{Slot: slot, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie})
		x.runFrame(egress, plainFrame(macLAN, macB), nil)
	}
	next := uint32(0)
	must(t, x.maps.EachCounters(1<<20, func(slot uint32, c *specs.Counters) {
		want, err := x.maps.Counters(slot)
		must(t, err)
		if slot != next || *c != want {
			t.Fatalf("slot %d: %+v, want %d: %+v", slot, *c, next, want)
		}
		next++
	}))
	if next != last+1 {
		t.Errorf("read %d slots, want %d", next, last+1)
	}
	found := map[uint32]uint64{}
	must(t, x.maps.EachViolation(func(slot uint32, _ specs.Kind, n specs.Broken) { found[slot] += n.Packets }))
	if len(found) != 3 || found[1] != 1 || found[500] != 500 || found[last] != uint64(last) {
		t.Errorf("violations: %v", found)
	}
	must(t, x.maps.EachCounters(0, func(slot uint32, _ *specs.Counters) { t.Errorf("slot %d, want none", slot) }))
}

// BenchmarkReadAll measures the map reading of one scrape. The goal is 5 ms at 10,000
// endpoints.
func BenchmarkReadAll(b *testing.B) {
	ns := testnet.Namespace(b)
	d := mustLoad(b, ns, bpffs(b), Options{MaxEndpoints: 10_000})
	for _, slots := range []uint32{100, 1000, 10_000} {
		b.Run(fmt.Sprint(slots), func(b *testing.B) {
			least := time.Hour
			for b.Loop() {
				start := time.Now()
				must(b, d.Maps().EachCounters(slots+1, func(uint32, *specs.Counters) {}))
				must(b, d.Maps().EachViolation(func(uint32, specs.Kind, specs.Broken) {}))
				least = min(least, time.Since(start))
			}
			b.ReportMetric(float64(least.Microseconds())/1000, "least-ms")
		})
	}
}
