package bpf

import (
	"testing"

	"github.com/vishvananda/netlink"

	"berth/internal/testnet"
	"berth/specs"
)

// readEvent waits for an event.
func (l *lab) readEvent() RawEvent {
	l.Helper()
	var e RawEvent
	testnet.Eventually(l, "an event", func() bool {
		var ok bool
		e, ok = l.nextEvent()
		return ok
	})
	return e
}

// requireNoEvent checks that there was no violation.
func (l *lab) requireNoEvent(what string) {
	l.Helper()
	for slot := uint32(1); slot < l.next; slot++ {
		if n := l.violations(slot); n != 0 {
			l.Errorf("%s: slot %d has %d violations", what, slot, n)
		}
	}
	if e, ok := l.nextEvent(); ok {
		l.Errorf("%s: event %+v", what, e)
	}
}

// TestForgedMAC sends with another's MAC, and an unused one, past the stack.
func TestForgedMAC(t *testing.T) {
	t.Parallel()
	needNaming(t)
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeVEPA)
	sendRaw(t, b.NS, "net1", plainFrame(l.lanMAC, b.MAC))
	b.expectCounts("its own MAC", transmitExternal(specs.Casts{Unicast: countOf(1, 100)}))
	l.requireNoEvent("its own MAC")

	sendRaw(t, b.NS, "net1", plainFrame(l.lanMAC, macB))
	if e := l.readEvent(); e.Sender != b.Slot || e.Owner != 0 || e.Certainty != specs.Certain || e.ParentIndex != l.parent || e.Cookie != b.Cookie {
		t.Errorf("nobody's MAC: %+v", e)
	}
	must(t, l.maps.Zero(b.Slot)) // resets the rate limit too
	sendRaw(t, b.NS, "net1", plainFrame(l.lanMAC, a.MAC))
	if e := l.readEvent(); e.Sender != b.Slot || e.Owner != a.Slot || e.Certainty != specs.Certain {
		t.Errorf("a sibling's MAC: %+v", e)
	}
	must(t, l.maps.Zero(b.Slot))
	sendRaw(t, b.NS, "net1", plainFrame(l.lanMAC, l.hostMAC))
	if e := l.readEvent(); e.Sender != b.Slot || e.Owner != 0 || e.Certainty != specs.Certain {
		t.Errorf("the host's MAC: %+v", e)
	}
	if n := l.violations(b.Slot); n != 1 {
		t.Errorf("%d violations, want 1", n)
	}
	a.expectCounts("whose MAC was forged", specs.Counters{})
}

// TestChangedMAC changes the MAC of the interface itself: then frames without a socket have
// it too, and only their address identifies them.
func TestChangedMAC(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModeBridge)
	testnet.Run(t, a.NS, "ip", "link", "set", "net1", "address", macB.String())
	sendUDP(t, a.NS, ipLAN, 1, 100)
	e := l.readEvent()
	if e.Certainty != specs.Suspected || e.Evidence != specs.BySourceIP || e.Sender != a.Slot || e.Owner != 0 {
		t.Errorf("ARP: %+v", e)
	}
	if ethertype := e.Bytes[12:14]; ethertype[0] != 8 || ethertype[1] != 6 {
		t.Errorf("not ARP: %x", e.Bytes)
	}
}

// TestOthersAreNotFlagged sends from the host, by its address and past the stack, and from
// a macvlan that does not belong to berth.
func TestOthersAreNotFlagged(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModeBridge)
	testnet.Address(t, l.ns, "eth0", "192.0.2.1/24")
	foreign := l.stranger(specs.ModeBridge)
	testnet.Run(t, foreign.NS, "ip", "neigh", "del", ipLAN.String(), "dev", "net1")
	testnet.Run(t, l.ns, "ping", "-c", "2", "-i", "0.05", "-W", "20", ipLAN.String())
	sendUDP(t, foreign.NS, ipLAN, 3, 100)
	testnet.Run(t, foreign.NS, "ping", "-c", "2", "-i", "0.05", "-W", "20", ipLAN.String())
	sendRaw(t, l.ns, "eth0", plainFrame(l.lanMAC, macB)) // as a bridge on the parent would
	sendUDP(t, a.NS, ipLAN, 3, 100)
	sendUDP(t, l.lan, a.ip, 3, 100)
	want := transmitExternal(specs.Casts{Unicast: countOf(3, 3*udpBytes(100))})
	want.Receive.External.Unicast = countOf(3, 3*udpBytes(100))
	a.expectCounts("the endpoint among them", want)
	l.requireNoEvent("others")
}

// TestForgedMACFromAnotherNamespace lets a container move its interface to a namespace of
// its own making, which the datapath does not know: the source address identifies it still.
func TestForgedMACFromAnotherNamespace(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	to := map[string]*receiver{
		"the LAN": newReceiver(t, l.lan, "wire", ipLAN, ip6LAN), "a sibling": newReceiver(t, b.NS, "net1", b.ip, ip6B),
	}
	away := newQuietNamespace(t)
	index := testnet.Link(t, a.NS, "net1").Attrs().Index
	must(t, testnet.Netlink(t, a.NS).LinkSetNsFd(&netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: index}}, away.FD()))
	testnet.Up(t, away, "net1")
	for who, to := range to {
		for _, enforce := range [][]specs.Kind{nil, {specs.MACSpoof}} {
			a.Enforce = enforce
			must(t, l.maps.Register(a.Endpoint))
			must(t, l.maps.Zero(a.Slot))
			forged := datagram4(a.ip, 9, 1009, forgedText)(macB, to)
			if moved := (&container{NS: away, lab: l}); enforce != nil && who == "the LAN" {
				sendDropped(t, moved, forged)
			} else {
				sendRaw(t, away, "net1", forged)
			}
			e := l.readEvent()
			if e.Kind != specs.MACSpoof || e.Sender != a.Slot || e.Certainty != specs.Suspected || e.Evidence != specs.BySourceIP || e.Dropped != (enforce != nil) {
				t.Errorf("to %s, enforced %v: %+v", who, enforce, e)
			}
			sendUDP(t, l.lan, b.ip, 1, 5) // follows it
			if enforce == nil {
				testnet.Eventually(t, "the forged frame", func() bool { return arrivesAt(1009)(macB, to) })
			} else if arrivesAt(1009)(macB, to) {
				t.Errorf("to %s: arrives though it is enforced", who)
			}
		}
	}
	sendRaw(t, away, "net1", datagram4(ipForged, 9, 1009, forgedText)(macB, to["the LAN"]))
	if n := l.violations(a.Slot); n != 1 {
		t.Errorf("an address that nobody has: %d violations, want the one before it", n)
	}
}
