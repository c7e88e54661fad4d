package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// wired is a lab whose test holds the other end of the wire.
type wired struct {
	*lab
	*testnet.TapDevice
	other specs.MAC // of another machine
	sent  uint64    // marks
}

func newWired(t *testing.T) *wired {
	t.Helper()
	host := newQuietNamespace(t)
	tap := testnet.Tap(t, host, "tap0")
	return &wired{lab: labOn(t, host, "tap0", Options{}), TapDevice: tap, other: specs.MAC{2, 0, 0x5e, 0, 0x53, 0x77}}
}

// sendFromWire sends a frame from the wire, and waits until it was processed: it then sends a
// frame that c receives.
func (w *wired) sendFromWire(c *container, frame []byte) {
	w.Helper()
	w.Write(frame)
	w.Write(plainFrame(c.MAC, w.other))
	before := w.sent
	w.sent++
	testnet.Eventually(w.lab, "what comes after it", func() bool {
		return w.counters(c.Slot).Receive.External.Unicast.Packets > before
	})
	w.sent = w.counters(c.Slot).Receive.External.Unicast.Packets
}

// TestGroupsReflected sends multicast and broadcast over a switch that reflects and one
// that does not.
func TestGroupsReflected(t *testing.T) {
	t.Parallel()
	all := netip.MustParseAddr("192.0.2.255")
	for _, mode := range []specs.Mode{specs.ModeBridge, specs.ModePrivate, specs.ModeVEPA} {
		for _, reflects := range []bool{false, true} {
			l := newSwitch(t, reflects)
			a, b := l.container(mode), l.container(mode)
			sendUDP(t, a.NS, all, 3, 100)
			sendUDP(t, a.NS, ipGroup, 4, 100)
			sendSegmented(t, a.NS, ipGroup)
			sendUDP(t, b.NS, all, 2, 100)
			if mode != specs.ModeBridge || !reflects {
				sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.3"), 1, 100) // sends ARP requests
				l.requireNoViolations(string(mode))
				continue
			}
			testnet.Eventually(t, "all that comes back", func() bool {
				found := l.allViolations()
				return found[a.Slot][specs.Reflected].Packets == 3+4+101 && found[b.Slot][specs.Reflected].Packets == 2
			})
			if e := l.readEvent(); e.Kind != specs.Reflected || e.Sender != a.Slot || e.Counted != a.Slot || e.Certainty != specs.Certain || e.Evidence != specs.ByFrameCopy {
				t.Errorf("%+v", e)
			}
			if found := l.allViolations(); len(found) != 2 || len(found[a.Slot]) != 1 {
				t.Errorf("%+v", found)
			}
		}
	}
}

// copyOf makes an endpoint send a frame of which a copy comes back, and returns the
// violations. A frame is remembered for a second; if the copy takes longer on a loaded
// machine, the frame is sent again.
func (w *wired) copyOf(c *container, frame []byte) (found map[uint32]map[specs.Kind]specs.Broken) {
	w.Helper()
	copied := slices.Clone(frame)
	if len(copied) > 60 { // a switch may change bytes after the addresses
		copied[len(copied)-1]++
	}
	testnet.Eventually(w.lab, "a copy that comes in within a second", func() bool {
		w.resetViolations(c)
		start := time.Now()
		sendRaw(w.lab, c.NS, "net1", frame)
		w.sendFromWire(c, copied)
		soon := time.Since(start) < 900*time.Millisecond
		found = w.allViolations()
		return soon
	})
	return found
}

// TestDuplicateMACOfGroups lets another machine send multicast and broadcast with an
// endpoint's MAC, beside copies of the endpoint's own frames.
func TestDuplicateMACOfGroups(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	for _, mode := range []specs.Mode{specs.ModeVEPA, specs.ModeBridge, specs.ModePrivate} {
		a := w.container(mode)
		a.Addresses = append(a.Addresses, ip6A)
		must(t, w.maps.Register(a.Endpoint))
		w.sent = 0
		own := [][]byte{
			plainFrame(macAll, a.MAC), plainFrame(macGroup, a.MAC),
			ethernet(macAll, a.MAC, 0x800, ip4(17, a.ip, ipGroup, udpHeader(1, 2))),
			ethernet(macGroup, a.MAC, 0x86dd, ip6(17, ip6A, ip6Group, udpHeader(1, 2))),
			ethernet(macGroup, a.MAC, 0x86dd, ip6(58, ip6A, ip6Group, make([]byte, 30))),
			ethernet(macAll, a.MAC, 0x806, arpFor(a.ip, ipLAN)),
		}
		for i, frame := range own {
			found := w.copyOf(a, frame)
			reflected := found[a.Slot][specs.Reflected].Packets
			if mode == specs.ModeBridge && (len(found) != 1 || reflected != 1) || mode != specs.ModeBridge && len(found) != 0 {
				t.Errorf("%s, %d: a copy of its own: %+v", mode, i, found)
			}
			w.resetViolations(a)
		}
		for i, frame := range own {
			testnet.Eventually(t, "a place in which none of its own is remembered", func() bool {
				other := slices.Clone(frame)
				switch {
				case i < 2:
					binary.BigEndian.PutUint16(other[12:], uint16(0x88b6+w.sent))
				case i == 5:
					binary.BigEndian.PutUint16(other[40:], uint16(w.sent)) // the target address
				default:
					binary.BigEndian.PutUint16(other[28:], uint16(w.sent)) // the sender's address
				}
				w.sendFromWire(a, other)
				return w.allViolations()[a.Slot][specs.DuplicateMAC].Packets == 1
			})
			if e := w.readEvent(); e.Kind != specs.DuplicateMAC || e.Owner != a.Slot || e.Sender != 0 || e.Certainty != specs.Certain || e.Evidence != specs.ByNotSent {
				t.Errorf("%s, %d: %+v", mode, i, e)
			}
			w.resetViolations(a)
		}
	}
}

// resetViolations deletes the violations, the rate limit and the events.
func (w *wired) resetViolations(c *container) {
	w.Helper()
	must(w.lab, w.maps.zeroViolations(c.Slot))
	for _, ok := w.nextEvent(); ok; _, ok = w.nextEvent() {
	}
}

// TestDuplicateIP sends messages that claim an endpoint's address, and others.
func TestDuplicateIP(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	a, b := w.container(specs.ModeBridge), w.container(specs.ModeBridge)
	a.Addresses = append(a.Addresses, ip6A)
	must(t, w.maps.Register(a.Endpoint))
	must(t, w.maps.SetHostAddresses(w.parent, []netip.Addr{ipLAN}))
	message := func(to, sender specs.MAC, operation byte, from, target netip.Addr) []byte {
		p := arpFor(from, target)
		p[7] = operation
		copy(p[8:], sender[:])
		return ethernet(to, w.other, 0x806, p)
	}
	nd := func(kind byte, from, target netip.Addr) []byte {
		frame := icmp6(from, kind, target)
		copy(frame[6:], w.other[:])
		return frame
	}
	for name, c := range map[string]struct {
		frame []byte
		fires bool
	}{
		"ARP answers":                 {message(a.MAC, w.other, 2, a.ip, a.ip), true},
		"ARP announces":               {message(macAll, w.other, 1, a.ip, a.ip), true},
		"ARP asks from it":            {message(macAll, w.other, 1, a.ip, ipLAN), true},
		"ARP asks for it":             {message(macAll, w.other, 1, ipGroup, a.ip), false},
		"ARP probes it":               {message(macAll, w.other, 1, ipZero, a.ip), false},
		"ARP of another's":            {message(macAll, w.other, 2, ipGroup, ipGroup), false},
		"ARP of the host's":           {message(macAll, w.other, 2, ipLAN, ipLAN), false},
		"ARP says the endpoint's":     {message(macAll, a.MAC, 2, a.ip, a.ip), false},
		"ARP says the sibling's":      {message(macAll, b.MAC, 2, a.ip, a.ip), false},
		"ARP says the host's":         {message(macAll, w.hostMAC, 2, a.ip, a.ip), false},
		"advertises it":               {nd(136, ip6Link, ip6A), true},
		"advertises another's":        {nd(136, ip6Link, ip6B), false},
		"solicits from it":            {nd(135, ip6A, ip6LAN), true},
		"solicits it":                 {nd(135, ip6LAN, ip6A), false},
		"duplicate detection":         {nd(135, ip6Zero, ip6A), false},
		"a router from its address":   {nd(134, ip6A, ip6A), false},
		"a datagram from its address": {ethernet(macAll, w.other, 0x800, ip4(17, a.ip, ipGroup, udpHeader(1, 2))), false},
	} {
		w.resetViolations(a)
		w.sendFromWire(b, c.frame)
		e, told := w.nextEvent()
		if n := w.allViolations(); told != c.fires || (len(n) != 0) != c.fires {
			t.Errorf("%s: %+v, want fired %t", name, n, c.fires)
		}
		if told && (e.Kind != specs.DuplicateIP || e.Owner != a.Slot || e.Counted != a.Slot || e.Sender != 0 || e.Certainty != specs.Certain || e.Evidence != specs.ByClaim) {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// TestSourceDenied sends to an endpoint in source mode from its list, and from another
// source.
func TestSourceDenied(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	a, b := w.container(specs.ModeSource), w.container(specs.ModeBridge)
	a.Sources = []specs.MAC{w.other}
	must(t, w.maps.Register(a.Endpoint))
	stranger := specs.MAC{2, 0, 0x5e, 0, 0x53, 0x78}
	w.sendFromWire(b, plainFrame(a.MAC, w.other))
	w.sendFromWire(b, plainFrame(macAll, stranger))
	w.sendFromWire(b, plainFrame(w.hostMAC, stranger))
	w.requireNoViolations("from the list, and to others")
	w.sendFromWire(b, plainFrame(a.MAC, stranger))
	if e := w.readEvent(); e.Kind != specs.SourceDenied || e.Receiver != a.Slot || e.Counted != a.Slot || e.Sender != 0 || e.Certainty != specs.Certain {
		t.Errorf("%+v", e)
	}
	a.expectCounts("what was delivered", receiveExternal(hundred))
}
