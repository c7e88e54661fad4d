package bpf

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// matrix is one run of the exactness matrix: two containers of one mode on a parent whose
// switch reflects or not, and the capture of the cable.
type matrix struct {
	*lab
	mode    specs.Mode
	reflect bool
	a, b    *container // b is nil in passthru mode, which has no siblings
	wire    *wireTruth
	direct  map[*container]specs.Counters // traffic between siblings that bypassed the cable
}

// TestExactCounts tests every mode, to and from the wire and a sibling, with a switch that
// reflects and one that does not, with multicast and broadcast, small datagrams and
// super-packets of TCP and UDP. The reference is the known number of frames sent, or a
// capture with offloads off.
func TestExactCounts(t *testing.T) {
	t.Parallel()
	for _, mode := range specs.Modes(specs.Macvlan) {
		for _, reflect := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,reflect=%t", mode, reflect), func(t *testing.T) {
				t.Parallel()
				x := newMatrix(t, mode, reflect)
				x.toAll()
				if !reflect { // otherwise the LAN's own address is on the port of the switch
					x.withTheWire()
				}
				if x.b != nil {
					x.withSibling()
				}
			})
		}
	}
}

func newMatrix(t *testing.T, mode specs.Mode, reflect bool) *matrix {
	t.Helper()
	x := &matrix{mode: mode, reflect: reflect, direct: make(map[*container]specs.Counters)}
	if x.lab = newLab(t, Options{}); reflect {
		testnet.Bridge(t, x.lan, "br0", "wire")
		testnet.Hairpin(t, x.lan, "wire")
	}
	x.a = x.container(mode)
	if mode != specs.ModePassthru {
		x.b = x.container(mode)
		befriend(x.a, x.b)
		x.listenSources(x.a, x.lanMAC, x.b.MAC)
		x.listenSources(x.b, x.lanMAC, x.a.MAC)
	}
	x.wire = x.captureWire()
	return x
}

// listenSources sets the source list of a container in source mode.
func (x *matrix) listenSources(c *container, sources ...specs.MAC) {
	x.Helper()
	if c.Mode != specs.ModeSource {
		return
	}
	c.Sources = sources
	for _, mac := range sources {
		testnet.Run(x, c.NS, "ip", "link", "set", "net1", "type", "macvlan", "macaddr", "add", mac.String())
	}
	must(x, x.maps.Register(c.Endpoint))
}

// toAll sends multicast and broadcast.
func (x *matrix) toAll() {
	x.Helper()
	sendUDP(x, x.a.NS, netip.MustParseAddr("192.0.2.255"), 13, 3)
	sendUDP(x, x.a.NS, ipGroup, 14, 300)
	x.checkSent(x.a, specs.Casts{Broadcast: countOf(13, 13*udpBytes(3)), Multicast: countOf(14, 14*udpBytes(300))})
	x.checkCounts("to all")
}

func (x *matrix) withTheWire() {
	x.Helper()
	for _, size := range []int{1, 18, 19, 1000} {
		before := x.sentBefore(x.a)
		sendUDP(x, x.a.NS, ipLAN, 30, size)
		before.Unicast = before.Unicast.Plus(countOf(30, 30*udpBytes(size)))
		x.checkSent(x.a, before)
		sendUDP(x, x.lan, x.a.ip, 20, size)
		x.checkCounts(fmt.Sprintf("datagrams of %d bytes", size))
	}
	before := x.sentBefore(x.a)
	sendSegmented(x, x.a.NS, ipLAN)
	before.Unicast = before.Unicast.Plus(segmented)
	x.checkSent(x.a, before)
	x.checkCounts("UDP in super-packets")
	x.superPackets(x.a, func() { sendTCP(x, x.a.NS, x.lan, ipLAN, 1<<20) })
	sendTCP(x, x.lan, x.a.NS, x.a.ip, 1<<20)
	x.waitSettled()
	x.checkCounts("TCP")
}

// superPackets checks that the frames sent meanwhile pass the parent in fewer pieces than
// the cable; otherwise the test would test nothing.
func (x *matrix) superPackets(c *container, send func()) {
	x.Helper()
	pieces := func() uint64 { return testnet.Link(x, c.NS, "net1").Attrs().Statistics.TxPackets }
	x.wire.drainCapture()
	before, segments := pieces(), x.wire.countersOf(&c.Endpoint, nil).Transmit.External.Unicast.Packets
	send()
	x.waitSettled()
	x.wire.drainCapture()
	n, m := pieces()-before, x.wire.countersOf(&c.Endpoint, nil).Transmit.External.Unicast.Packets-segments
	if n*2 > m {
		x.Errorf("%d segments passed the parent in %d pieces: no super-packets", m, n)
	}
}

// withSibling sends between the containers: directly in bridge mode, else over the switch
// if it reflects.
func (x *matrix) withSibling() {
	x.Helper()
	bridge := x.mode == specs.ModeBridge
	before := x.sentBefore(x.a)
	sendUDP(x, x.a.NS, x.b.ip, 40, 5)
	sendSegmented(x, x.a.NS, x.b.ip)
	n := countOf(40, 40*udpBytes(5)).Plus(segmented)
	if bridge {
		x.recordLocal(x.a, x.b, n)
	} else {
		before.Unicast = before.Unicast.Plus(n)
	}
	x.checkSent(x.a, before)
	x.checkCounts("datagrams to a sibling")
	if !bridge && !x.reflect {
		return
	}
	fromA, fromB := sentSegments(x, x.a.NS), sentSegments(x, x.b.NS)
	payload := sendTCP(x, x.a.NS, x.b.NS, x.b.ip, 1<<20)
	x.waitSettled()
	if bridge {
		x.recordLocal(x.a, x.b, tcpCount(sentSegments(x, x.a.NS)-fromA, payload))
		x.recordLocal(x.b, x.a, tcpCount(sentSegments(x, x.b.NS)-fromB, 0))
	}
	x.checkCounts("TCP to a sibling")
}

func (x *matrix) waitSettled() {
	x.Helper()
	all := []*container{x.a}
	if x.b != nil {
		all = append(all, x.b)
	}
	waitSettled(x, x.lab, all...)
}

// recordLocal records traffic between siblings that bypassed the cable.
func (x *matrix) recordLocal(from, to *container, n specs.Count) {
	x.direct[from] = x.direct[from].Plus(transmitLocal(n))
	x.direct[to] = x.direct[to].Plus(receiveLocal(n))
}

// sentBefore returns the traffic that the cable has carried from a container.
func (x *matrix) sentBefore(c *container) specs.Casts {
	x.Helper()
	x.wire.drainCapture()
	return x.wire.countersOf(&c.Endpoint, nil).Transmit.External
}

// checkSent checks the capture itself if the number of datagrams is known.
func (x *matrix) checkSent(c *container, want specs.Casts) {
	x.Helper()
	testnet.Eventually(x, "all datagrams on the cable", func() bool {
		return x.sentBefore(c).Total().Packets >= want.Total().Packets
	})
	if got := x.sentBefore(c); got != want {
		x.Errorf("the cable carried %+v, want %+v", got, want)
	}
}

// checkCounts compares the counts with the reference.
func (x *matrix) checkCounts(what string) {
	x.Helper()
	macs := map[specs.MAC]bool{x.a.MAC: true}
	if x.b != nil {
		macs[x.b.MAC] = true
	}
	for _, c := range []*container{x.a, x.b} {
		if c == nil {
			continue
		}
		var got, want specs.Counters
		same := func() bool {
			x.wire.drainCapture()
			got, want = x.counters(c.Slot), x.wire.countersOf(&c.Endpoint, macs).Plus(x.direct[c])
			return got == want
		}
		for until := time.Now().Add(time.Minute); !same() && time.Now().Before(until); {
			time.Sleep(time.Millisecond)
		}
		if got != want {
			x.Errorf("%s: slot %d counted\n%+v, want\n%+v", what, c.Slot, got, want)
		}
		if n := x.violations(c.Slot); n != 0 {
			x.Errorf("%s: slot %d has %d violations", what, c.Slot, n)
		}
	}
}

// segmented is the traffic of sendSegmented: 100 segments of 1,000 bytes, and a rest of 200.
var segmented = countOf(101, 101*udpBytes(0)+100_200)

// sendSegmented sends UDP in super-packets.
func sendSegmented(t testing.TB, ns *testnet.NS, to netip.Addr) {
	t.Helper()
	testnet.In(t, ns, func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, 1000))
		for _, size := range []int{50_000, 50_000, 200} {
			must(t, unix.Sendto(fd, make([]byte, size), 0, &unix.SockaddrInet4{Port: 9, Addr: to.As4()}))
		}
	})
}
