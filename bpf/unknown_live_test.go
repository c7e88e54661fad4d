package bpf

import (
	"encoding/binary"
	"flag"
	"maps"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// long makes repetitive tests run as often as the goals require.
var long = flag.Bool("long", false, "a million forged MACs, a hundred kills")

// unknownMACs returns the unknown MACs with the directions in which they were seen.
func (x *bench) unknownMACs() map[specs.MAC]string {
	x.Helper()
	all, err := x.maps.Unknown()
	must(x, err)
	found := make(map[specs.MAC]string)
	for _, u := range all {
		if u.ParentIndex != 1 || u.VLAN != 0 || u.First < u.Last || u.First > time.Hour {
			x.Errorf("%+v", u)
		}
		if u.Ingress {
			found[u.MAC] += "in"
		}
		if u.Egress {
			found[u.MAC] += "out"
		}
	}
	return found
}

func TestUnknownMACs(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	x.runFrame(ingress, plainFrame(macA, macLAN), nil)   // to an endpoint
	x.runFrame(ingress, plainFrame(macAll, macB), nil)   // to all
	x.runFrame(egress, plainFrame(macLAN, macB), nil)    // like a bridge of the host's
	x.runFrame(ingress, plainFrame(macLAN, macA), nil)   // an endpoint
	x.runFrame(egress, plainFrame(macLAN, macHost), nil) // the host
	x.runFrame(ingress, plainFrame(macAll, macHost), nil)
	x.runFrame(ingress, plainFrame(macA, macGroup), nil) // a group's
	must(t, x.SetVLANs(map[VLAN]int{{1, 7}: 9}))
	x.runFrame(ingress, tagFrame(7, plainFrame(macAll, specs.MAC{2, 7})), nil) // counted at its sub-interface
	want := map[specs.MAC]string{macLAN: "in", macB: "inout"}
	if got := x.unknownMACs(); !maps.Equal(got, want) {
		t.Errorf("unknown MACs %v, want %v", got, want)
	}
	x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie})
	delete(want, macB)
	if got := x.unknownMACs(); !maps.Equal(got, want) {
		t.Errorf("after one is registered %v, want %v", got, want)
	}
	must(t, x.maps.AgeUnknown(0))
	if got := x.unknownMACs(); len(got) != 0 {
		t.Errorf("after ageing %v", got)
	}
	x.runFrame(egress, plainFrame(macHost, macLAN), nil)
	if got := x.unknownMACs()[macLAN]; got != "out" {
		t.Errorf("seen again %q, want out", got)
	}
}

// TestFlood sends frames of ever new forged MACs both ways, and valid ones between them:
// those are counted exactly, and the map of unknown MACs stays bounded.
func TestFlood(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	macs, good := uint32(150_000), uint64(0)
	if *long {
		macs = 1_000_000
	}
	testnet.In(t, x.ns, func() {
		for i := range macs {
			mac := specs.MAC{2, 0xee}
			binary.BigEndian.PutUint32(mac[2:], i)
			runProgram(t, loadedProgram(x.programFor(direction(i%2))), plainFrame(macLAN, mac), new(skb))
			if i%100 == 0 {
				runProgram(t, loadedProgram(x.ingress), plainFrame(macA, mac), new(skb))
				runProgram(t, loadedProgram(x.egress), plainFrame(mac, macA), new(skb))
				good++
			}
		}
	})
	want := receiveExternal(countOf(good, 100*good))
	want.Transmit.External.Unicast = countOf(good, 100*good)
	if got := x.counters(slotA); got != want {
		t.Errorf("the endpoint has\n%+v, want\n%+v", got, want)
	}
	noted := len(x.unknownMACs())
	lost, err := x.maps.UnknownOverflow()
	must(t, err)
	if noted < 256 || noted > 2048 || lost < 1000 {
		t.Errorf("%d MACs noted, %d not, of %d", noted, lost, macs)
	}
	must(t, x.maps.AgeUnknown(0))
	testnet.Eventually(t, "room for another, after the flood", func() bool {
		x.runFrame(ingress, plainFrame(macA, macLAN), nil)
		return maps.Equal(x.unknownMACs(), map[specs.MAC]string{macLAN: "in"})
	})
}
