package bpf

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

const otherText = "another one...." // of the length of forgedText

// changedForgery is a frame that becomes a forgery while it waits in a queue.
type changedForgery struct {
	forgery
	is func(specs.MAC, *receiver) []byte
}

func changedForgeries(x *arena) map[string]changedForgery {
	all := forgeries(x.from.ip, x.own6, x.other.MAC)
	tagged := func(vlan uint16) func(specs.MAC, *receiver) []byte {
		return func(mac specs.MAC, r *receiver) []byte {
			return vlanTags(0x8100, vlan)(datagram4(ipForged, 9, 1009, forgedText)(mac, r))[0]
		}
	}
	own := func(mac specs.MAC) []byte { return neighbourAdvert(x.own6, mac) }
	return map[string]changedForgery{
		"a source":     {all["IPv4 source"], datagram4(x.from.ip, 9, 1009, otherText)},
		"a source6":    {all["IPv6 source"], datagram6(x.own6, 9, 1009, otherText)},
		"an ARP":       {all["ARP answer"], arpMessage(2, 0x604, x.from.ip)},
		"a VLAN":       {forgery{specs.IPSpoof, 4, tagged(0), arrivesAt(1009)}, tagged(7)},
		"a target":     {all["advertisement"], ndForgery(x.own6, own)},
		"a DHCP reply": {all["DHCP, another port"], datagram4(x.from.ip, 1067, 9, bootReply)},
		"DHCPv6":       {all["DHCPv6, a port"], datagram6(x.own6, 1547, 9, bootReply)},
		"a router": {all["router"], ndForgery(ip6Link, func(specs.MAC) []byte {
			return append([]byte{128}, routerAdvertised()[1:]...)
		})},
	}
}

// TestEvasionsInSharedMemory sends frames from memory of the container's (PACKET_TX_RING), which
// then writes a forgery there while the frame waits in the parent's queue. The receiver must get
// the frame that the program has read.
func TestEvasionsInSharedMemory(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	queue := []string{"qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "64kbit", "burst", "1600", "limit", "100000"}
	testnet.Run(t, x.ns, "tc", queue...)
	ring := newSendRing(t, x.raw, x.index)
	send := func(frame []byte) { sendRaw(t, x.from.NS, "net1", frame) }
	x.last = func(to *receiver) { send(datagram4(x.from.ip, 9, 546, ownText)(x.from.MAC, to)) }
	to := x.to["the LAN"]
	for name, f := range changedForgeries(x) {
		x.send = func(frame []byte) error {
			for range 2 { // the second one waits
				send(datagram4(x.from.ip, 9, 9, string(make([]byte, 1400)))(x.from.MAC, to))
			}
			ring.sendChanged(t, f.is(x.from.MAC, to), frame)
			return nil
		}
		x.enforceKinds(f.kind)
		if x.tryForgery(f.forgery, unchangedFrame, to) {
			t.Errorf("%s: arrives though it is enforced: %v", name, x.allViolations())
		}
	}
}

// TestUnsettledCopies broadcasts a datagram from a ring. Siblings get it, unless it bypasses the
// program on the container's interface, behind which the container may still change it.
func TestUnsettledCopies(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	x.enforceKinds(specs.IPSpoof)
	ring := newSendRing(t, x.raw, x.index)
	broadcast := func() {
		for _, to := range x.to {
			to.payloadsAt(1009)
		}
		frame := datagram4(x.from.ip, 9, 1009, ownText)(x.from.MAC, x.to["the LAN"])
		copy(frame, macAll[:])
		copy(frame[30:], []byte{255, 255, 255, 255})
		frame = append(frame[:14:14], withChecksum4(frame[14:])...)
		inOrder(t, func() {
			ring.sendChanged(t, frame, frame)
			last := datagram4(x.from.ip, 9, 546, ownText)
			sendRaw(t, x.from.NS, "net1", last(x.from.MAC, x.to["a sibling"]))
		})
		for who, port := range map[string]uint16{"the LAN": 1009, "a sibling": 546} {
			testnet.Eventually(t, "a datagram for "+who, func() bool { return len(x.to[who].payloadsAt(port)) > 0 })
		}
	}
	broadcast()
	if n := len(x.to["a sibling"].payloadsAt(1009)); n != 1 {
		t.Errorf("a sibling gets %d, want 1", n)
	}
	must(t, unix.SetsockoptInt(x.raw, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
	broadcast()
	if n := len(x.to["a sibling"].payloadsAt(1009)); n != 0 {
		t.Errorf("past the program, a sibling gets %d, want none", n)
	}
}

// TestFragmentsForRawClients sends a DHCP message as a fragment. busybox's udhcpc, which reads all
// frames as long as it has no address, takes one for a datagram, whatever its offset and its op
// (1.35).
func TestFragmentsForRawClients(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	x.enforceKinds(specs.RogueDHCP)
	for _, f := range []struct {
		what  string
		field uint16
		text  string
		drops uint64
	}{
		{"a later one", 1, "\x01" + bootCookie[1:], 1},
		{"a later one, more follow", 0x2001, bootCookie, 1},
		{"a first one", 0x2000, "\x01" + bootCookie[1:], 1},
		{"a first one without a cookie", 0x2000, "\x01" + bootReply[1:], 1},
		{"a later one without a cookie", 1, bootReply + bootReply, 0},
		{"a whole one without a cookie", 0, "\x01" + bootReply[1:], 0},
	} {
		must(t, x.maps.Zero(x.from.Slot))
		frame := datagram4(x.from.ip, 1067, 68, f.text)(x.from.MAC, x.to["the LAN"])
		binary.BigEndian.PutUint16(frame[20:], f.field)
		x.sendFrame(append(frame[:14:14], withChecksum4(frame[14:])...))
		if got := x.allViolations()[x.from.Slot][specs.RogueDHCP].Dropped; got != f.drops {
			t.Errorf("%s: %d dropped, want %d", f.what, got, f.drops)
		}
	}
}
