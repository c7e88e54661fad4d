package bpf

import (
	"bytes"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// TestSiblings checks both sides of a frame between siblings, which the parent sees once,
// on ingress.
func TestSiblings(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	befriend(a, b)
	sendUDP(t, a.NS, b.ip, 50, 1000)
	n := countOf(50, 50*udpBytes(1000))
	a.expectCounts("the sender", transmitLocal(n))
	b.expectCounts("the receiver", receiveLocal(n))
}

// TestTrafficWithTheLAN checks both directions to and from the LAN.
func TestTrafficWithTheLAN(t *testing.T) {
	t.Parallel()
	for _, mode := range []specs.Mode{specs.ModeBridge, specs.ModePrivate, specs.ModeVEPA, specs.ModePassthru} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, Options{})
			a := l.container(mode)
			sendUDP(t, a.NS, ipLAN, 30, 1000)
			sendUDP(t, l.lan, a.ip, 20, 2)
			sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.255"), 3, 100)
			sendUDP(t, a.NS, ipGroup, 4, 100)
			var want specs.Counters
			want.Transmit.External = specs.Casts{
				Unicast: countOf(30, 30*udpBytes(1000)), Broadcast: countOf(3, 3*udpBytes(100)), Multicast: countOf(4, 4*udpBytes(100)),
			}
			want.Receive.External.Unicast = countOf(20, 20*udpBytes(2))
			a.expectCounts("the container", want)
			if n := l.violations(a.Slot); n != 0 {
				t.Errorf("%d violations", n)
			}
		})
	}
}

// TestTCPToTheWire compares the counts of super-packets with the frames that the far end of
// the cable received: the parent passes no super-packet on, so its peer's own counters are
// of segments.
func TestTCPToTheWire(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModeBridge)
	testnet.Run(t, l.ns, "ethtool", "-K", "eth0", "tso", "off", "tx-udp-segmentation", "off")
	before := testnet.Link(t, l.lan, "wire").Attrs().Statistics
	sendTCP(t, a.NS, l.lan, ipLAN, 3<<20)
	waitSettled(t, l, a)
	after := testnet.Link(t, l.lan, "wire").Attrs().Statistics
	got := l.counters(a.Slot)
	want := countOf(after.RxPackets-before.RxPackets, after.RxBytes-before.RxBytes)
	if got.Transmit.External.Unicast != want {
		t.Errorf("sent %+v, the far end received %+v", got.Transmit.External.Unicast, want)
	}
	if want.Packets < 3<<20/1448 {
		t.Errorf("the far end received %d frames: not segments", want.Packets)
	}
	t.Logf("%d segments, received by %d acknowledgements", want.Packets, got.Receive.External.Unicast.Packets)
}

// TestTCPFromTheWireAndSiblings compares the counts of received super-packets with the
// segments that the sender's stack counted.
func TestTCPFromTheWireAndSiblings(t *testing.T) {
	t.Parallel()
	const size = 3 << 20
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	befriend(a, b)

	payload := sendTCP(t, l.lan, a.NS, a.ip, size)
	waitSettled(t, l, a)
	want := tcpCount(sentSegments(t, l.lan), payload)
	if got := l.counters(a.Slot).Receive.External.Unicast; got != want {
		t.Errorf("from the wire: received %+v, want %+v", got, want)
	}
	want = tcpCount(sentSegments(t, a.NS), 0)
	if got := l.counters(a.Slot).Transmit.External.Unicast; got != want {
		t.Errorf("to the wire: sent %+v, want %+v", got, want)
	}

	before := sentSegments(t, a.NS)
	payload = sendTCP(t, a.NS, b.NS, b.ip, size)
	waitSettled(t, l, a, b)
	want = tcpCount(sentSegments(t, a.NS)-before, payload)
	if got := l.counters(a.Slot).Transmit.Local.Unicast; got != want {
		t.Errorf("to a sibling: sent %+v, want %+v", got, want)
	}
	if got := l.counters(b.Slot).Receive.Local.Unicast; got != want {
		t.Errorf("to a sibling: received %+v, want %+v", got, want)
	}
}

// tcpCount returns the traffic of one side of a connection: segments with a header of 66
// bytes (timestamps), the first one (SYN) of 74.
func tcpCount(segments uint64, payload uint64) specs.Count {
	return countOf(segments, segments*66+8+payload)
}

// sentSegments returns the number of TCP segments that a namespace has sent, retransmissions
// included (OutSegs and RetransSegs of RFC 4022; the kernel counts each segment of a
// super-packet).
func sentSegments(t testing.TB, ns *testnet.NS) (total uint64) {
	t.Helper()
	var lines [][]string
	for line := range strings.Lines(procNet(t, ns, "snmp")) {
		if fields := strings.Fields(line); fields[0] == "Tcp:" {
			lines = append(lines, fields)
		}
	}
	for i, name := range lines[0] {
		if name == "OutSegs" || name == "RetransSegs" {
			n, err := strconv.ParseUint(lines[1][i], 10, 64)
			must(t, err)
			total += n
		}
	}
	return total
}

func procNet(t testing.TB, ns *testnet.NS, name string) string {
	t.Helper()
	var text []byte
	testnet.In(t, ns, func() {
		var err error
		text, err = os.ReadFile("/proc/thread-self/net/" + name)
		must(t, err)
	})
	return string(text)
}

// waitSettled waits until no connection of the lab has anything left to send, and every frame
// has been counted.
func waitSettled(t testing.TB, l *lab, all ...*container) {
	t.Helper()
	spaces := []*testnet.NS{l.lan}
	for _, c := range all {
		spaces = append(spaces, c.NS)
	}
	for _, ns := range spaces {
		testnet.Eventually(t, "closed connections", func() bool {
			for line := range strings.Lines(procNet(t, ns, "tcp")) {
				if state := strings.Fields(line)[3]; state != "st" && state != "0A" && state != "06" {
					return false // neither LISTEN nor TIME_WAIT
				}
			}
			return true
		})
	}
}

// hairpinLab creates a lab whose switch sends frames back to the port that they came from.
func hairpinLab(t *testing.T) *lab {
	t.Helper()
	l := newLab(t, Options{})
	testnet.Bridge(t, l.lan, "br0", "wire")
	testnet.Hairpin(t, l.lan, "wire")
	return l
}

// TestReflected checks the modes that send to siblings over the switch: one count for the
// sender, when the frame leaves, and one for the receiver, if it comes back.
func TestReflected(t *testing.T) {
	t.Parallel()
	for _, mode := range []specs.Mode{specs.ModeVEPA, specs.ModePrivate} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			n := countOf(10, 10*udpBytes(500))
			sent := transmitExternal(specs.Casts{Unicast: n})

			l := newLab(t, Options{})
			a, b := l.container(mode), l.container(mode)
			befriend(a, b)
			sendUDP(t, a.NS, b.ip, 10, 500)
			a.expectCounts("the sender, with a switch that does not reflect", sent)
			b.expectCounts("the receiver, with a switch that does not reflect", specs.Counters{})

			l = hairpinLab(t)
			a, b = l.container(mode), l.container(mode)
			befriend(a, b)
			sendUDP(t, a.NS, b.ip, 10, 500)
			b.expectCounts("the receiver, with a switch that reflects", receiveLocal(n))
			a.expectCounts("the sender, with a switch that reflects", sent)
		})
	}
}

// TestOffTheWire sends frames to the parent by a tap, which is like a wire that has no
// socket of ours behind it.
func TestOffTheWire(t *testing.T) {
	t.Parallel()
	host := newQuietNamespace(t)
	tap := testnet.Tap(t, host, "eth0")
	l := labOn(t, host, "eth0", Options{})
	a := l.container(specs.ModeBridge)
	tap.Write(padFrame(ethernet(a.MAC, macLAN, 0x806, arp(ipLAN.AsSlice()))))
	tap.Write(padFrame(ethernet(a.MAC, macLAN, 0x800, ip4(17, ipLAN, a.ip, make([]byte, 18)))))
	tap.Write(plainFrame(l.hostMAC, macLAN))
	tap.Write(plainFrame(macAll, macLAN))
	a.expectCounts("padded frames, and others' beside", receiveExternal(countOf(2, 42+52)))
}

// TestOwnFrameComesBack checks that a frame that the switch sends back is not counted
// twice. The kernel must identify the sender: a tap has a socket too.
func TestOwnFrameComesBack(t *testing.T) {
	t.Parallel()
	needNaming(t)
	host := newQuietNamespace(t)
	tap := testnet.Tap(t, host, "eth0")
	l := labOn(t, host, "eth0", Options{})
	a := l.container(specs.ModeBridge)
	a.addStaticNeighbour(neighbour{ipLAN, macLAN})
	sendUDP(t, a.NS, ipLAN, 1, 500)
	frame := tap.Read(time.Minute, func(f []byte) bool { return bytes.HasPrefix(f, macLAN[:]) })
	if len(frame) != int(udpBytes(500)) {
		t.Fatalf("%d bytes on the wire, want %d", len(frame), udpBytes(500))
	}
	tap.Write(frame)
	tap.Write(plainFrame(a.MAC, macB)) // a frame to wait for
	want := receiveExternal(countOf(1, 100))
	want.Transmit.External.Unicast = countOf(1, udpBytes(500))
	a.expectCounts("its own frame came back", want)
}

// TestPassthruChangesItsMAC checks that the frames still belong to the endpoint.
func TestPassthruChangesItsMAC(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModePassthru)
	if a.MAC != l.hostMAC {
		t.Fatalf("a passthru interface has MAC %s, its parent %s", a.MAC, l.hostMAC)
	}
	testnet.Run(t, a.NS, "ip", "link", "set", "net1", "address", macB.String())
	a.addStaticNeighbour(neighbour{ipLAN, l.lanMAC}) // deleted with the MAC
	setNeighbour(t, l.lan, "wire", neighbour{a.ip, macB})
	sendUDP(t, a.NS, ipLAN, 5, 100)
	sendUDP(t, l.lan, a.ip, 6, 100)
	want := transmitExternal(specs.Casts{Unicast: countOf(5, 5*udpBytes(100))})
	want.Receive.External.Unicast = countOf(6, 6*udpBytes(100))
	a.expectCounts("with another MAC", want)
	if n := l.violations(a.Slot); n != 0 {
		t.Errorf("%d violations", n)
	}
}
