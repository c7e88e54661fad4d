package bpf

import (
	"errors"
	"os"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// nextEvent returns the next event, and whether there was one.
func (x *bench) nextEvent() (RawEvent, bool) {
	x.Helper()
	r, err := x.Events()
	must(x, err)
	defer r.Close()
	r.ring.SetDeadline(time.Now())
	e, err := r.Read()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return RawEvent{}, false
	}
	must(x, err)
	return e, true
}

// checkFires sends a frame out and checks that it is, or is not, a violation of B.
func (x *bench) checkFires(name string, frame []byte, want bool) RawEvent {
	x.Helper()
	must(x, x.maps.Zero(slotB)) // resets the rate limit too
	x.runFrame(egress, frame, nil)
	n := x.violations(slotB)
	e, sent := x.nextEvent()
	if want != (n == 1) || want != sent || x.violations(slotA) != 0 {
		x.Errorf("%s: %d violations, event %t, want %t", name, n, sent, want)
	}
	return e
}

func TestSpoofIsCertain(t *testing.T) {
	t.Parallel()
	eachNaming(t, testSpoofIsCertain)
}

func testSpoofIsCertain(t *testing.T, c constants) {
	x := spoofBench(t, c)
	before := time.Now()
	e := x.checkFires("nobody's MAC", plainFrame(macLAN, macGroup), true)
	if e.Certainty != specs.Certain || e.Evidence != specs.ByNetnsCookie || e.Direction != "egress" || e.Kind != specs.MACSpoof {
		t.Errorf("event %+v", e)
	}
	if e.Sender != slotB || e.Owner != 0 || e.Cookie != x.cookie || e.ParentIndex != 1 || e.Length != 100 || len(e.Bytes) != eventBytes {
		t.Errorf("event %+v", e)
	}
	if e.Time.Before(before.Add(-time.Second)) || e.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("event at %s, want about %s", e.Time, before)
	}
	if e := x.checkFires("A's MAC", plainFrame(macLAN, macA), true); e.Owner != slotA || e.Sender != slotB {
		t.Errorf("event %+v", e)
	}
	if got := x.counters(slotA); got != (specs.Counters{}) {
		t.Errorf("A pays for what B sent: %+v", got)
	}
	if e := x.checkFires("to a group", plainFrame(macAll, macGroup), true); e.Certainty != specs.Certain || e.Sender != slotB {
		t.Errorf("event %+v", e)
	}
	x.checkFires("its own MAC, to a group", plainFrame(macAll, macB), false)
	x.checkFires("the host's MAC", plainFrame(macLAN, macHost), true)
	x.checkFires("B's own MAC", plainFrame(macLAN, macB), false)
}

// TestSpoofNeedsAnEndpoint checks that only a container with an endpoint on this parent can
// break its rules, in any VLAN that is counted here.
func TestSpoofNeedsAnEndpoint(t *testing.T) {
	t.Parallel()
	x := spoofBench(t, needNaming(t))
	must(t, x.SetVLANs(map[VLAN]int{{1, 8}: 40}))
	forged := tagFrame(8, plainFrame(macLAN, macGroup))
	x.checkFires("a VLAN with a sub-interface that the sender is not on", forged, true)
	inside := Endpoint{Slot: 9, ParentIndex: 40, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie}
	x.mustRegister(inside)
	x.checkFires("a VLAN with a sub-interface that the sender is on, tagged by itself", forged, true)
	must(t, x.maps.Unregister(inside))
	x.checkFires("a VLAN of its own making", tagFrame(7, plainFrame(macLAN, macGroup)), true)
	x.checkFires("this VLAN", plainFrame(macLAN, macGroup), true)
	must(t, x.maps.Unregister(Endpoint{Slot: slotB, ParentIndex: 1, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie}))
	x.checkFires("no endpoint", plainFrame(macLAN, macGroup), false)
	x.checkFires("no endpoint, with A's MAC", plainFrame(macLAN, macA), false)
	x.mustRegister(Endpoint{Slot: slotB, ParentIndex: 9, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie})
	x.checkFires("an endpoint on another parent", plainFrame(macLAN, macB), false)
}

// TestSpoofIsSuspected checks the findings of a kernel that cannot name the sender of a frame.
func TestSpoofIsSuspected(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	x := spoofBench(t, nameless)
	b := Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie}
	b.Addresses = append(b.Addresses, ipB, ip6B)
	x.mustRegister(b)
	for name, frame := range map[string]struct{ theirs, strangers []byte }{
		"IPv4": {ethernet(macLAN, macGroup, 0x800, ip4(17, ipB, ipLAN, make([]byte, 50))),
			ethernet(macLAN, macGroup, 0x800, ip4(17, ipLAN, ipB, make([]byte, 50)))},
		"IPv6": {ethernet(macLAN, macGroup, 0x86dd, ip6(17, ip6B, ip6A, make([]byte, 50))),
			ethernet(macLAN, macGroup, 0x86dd, ip6(17, ip6A, ip6B, make([]byte, 50)))},
		"ARP": {ethernet(macLAN, macGroup, 0x806, arp(ipB.AsSlice())), ethernet(macLAN, macGroup, 0x806, arp(ipA.AsSlice()))},
	} {
		e := x.checkFires(name, frame.theirs, true)
		if e.Certainty != specs.Suspected || e.Evidence != specs.BySourceIP || e.Sender != slotB || e.Cookie != 0 {
			t.Errorf("%s: event %+v", name, e)
		}
		x.checkFires(name+" of a stranger", frame.strangers, false)
	}
	x.checkFires("no address", plainFrame(macLAN, macGroup), false)
	x.checkFires("no address, to a group", plainFrame(macAll, macGroup), false)
	own := ethernet(macLAN, macB, 0x800, ip4(17, ipB, ipLAN, make([]byte, 50)))
	x.checkFires("its own MAC", own, false)
	must(t, x.maps.Unregister(Endpoint{Slot: slotB, ParentIndex: 1, MAC: macB, Cookie: x.cookie, Addresses: b.Addresses}))
	x.checkFires("after its end", own, false)
}

// TestEventsAreLimited checks that of many violations a few are sent, and that each is
// either sent or left out.
func TestEventsAreLimited(t *testing.T) {
	t.Parallel()
	x := spoofBench(t, needNaming(t))
	const burst = 2000
	frame := plainFrame(macLAN, macGroup)
	testnet.In(t, x.ns, func() {
		_, _, err := loadedProgram(x.egress).Benchmark(frame, burst, nil)
		must(t, err)
	})
	told, leftOut := 0, uint64(0)
	take := func() bool {
		e, ok := x.nextEvent()
		if ok {
			told++
			leftOut += e.LeftOut
		}
		return ok
	}
	for take() {
	}
	if told == 0 || told > burst/10 {
		t.Errorf("%d events of a burst of %d", told, burst)
	}
	testnet.Eventually(t, "an event after the burst", func() bool {
		x.runFrame(egress, frame, nil)
		return take()
	})
	if got, want := uint64(told)+leftOut, x.violations(slotB); got != want {
		t.Errorf("%d events and %d left out, of %d violations", told, leftOut, want)
	}
}

// TestEventsFindTheBufferFull checks that a full buffer loses events only.
func TestEventsFindTheBufferFull(t *testing.T) {
	t.Parallel()
	x := spoofBench(t, needNaming(t))
	frame := plainFrame(macLAN, macGroup)
	sent := uint64(0)
	testnet.Eventually(t, "a full buffer", func() bool {
		for range 200 {
			must(t, x.maps.putElement(mapViolations, uint32(slotB), violations{})) // resets the rate limit
			x.runFrame(egress, frame, nil)
			sent++
		}
		lost, err := x.maps.EventsLost()
		must(t, err)
		return lost > 0
	})
	must(t, x.maps.Zero(slotB))
	x.runFrame(egress, frame, nil)
	if n := x.violations(slotB); n != 1 {
		t.Errorf("%d violations counted with a full buffer, want 1", n)
	}
	if _, ok := x.nextEvent(); !ok {
		t.Error("no event is left in the buffer")
	}
}
