package bpf

import (
	"net/netip"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// newSwitch creates a lab whose cable ends in a switch that reflects or not.
func newSwitch(t *testing.T, reflects bool) *lab {
	t.Helper()
	l := newLab(t, Options{})
	testnet.Bridge(t, l.lan, "br0", "wire")
	if reflects {
		testnet.Hairpin(t, l.lan, "wire")
	}
	return l
}

// waitForKind waits for a violation, and returns its count.
func (l *lab) waitForKind(slot uint32, kind specs.Kind) specs.Broken {
	l.Helper()
	testnet.Eventually(l, string(kind), func() bool { return l.allViolations()[slot][kind].Packets > 0 })
	return l.allViolations()[slot][kind]
}

// requireNoViolations checks that there are no violations.
func (l *lab) requireNoViolations(what string) {
	l.Helper()
	if found := l.allViolations(); len(found) != 0 {
		e, _ := l.nextEvent()
		l.Errorf("%s: %+v, by event %+v", what, found, e)
	}
}

// TestPrivate sends between private endpoints, over a switch that reflects and one that
// does not.
func TestPrivate(t *testing.T) {
	t.Parallel()
	for _, reflects := range []bool{false, true} {
		l := newSwitch(t, reflects)
		a, b := l.container(specs.ModePrivate), l.container(specs.ModePrivate)
		befriend(a, b)
		in := newInbox(t, b.NS)
		sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.255"), 3, 100) // the driver does not deliver it
		sendUDP(t, a.NS, ipGroup, 3, 100)
		sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.3"), 1, 100) // asks for a stranger's address
		l.requireNoViolations("to groups and strangers")
		sendFrom(t, a.NS, a.ip, b.ip)
		if reflects {
			in.readUntil(a.ip)
		}
		want := map[specs.Kind]uint32{specs.PrivateAttempt: a.Slot, specs.PrivateLeak: b.Slot}
		if !reflects {
			delete(want, specs.PrivateLeak)
		}
		for kind, slot := range want {
			e := l.readEvent()
			if e.Kind != kind && reflects { // in either order
				kind, slot = e.Kind, want[e.Kind]
			}
			if e.Kind != kind || e.Counted != slot || e.Sender != a.Slot || e.Receiver != b.Slot || e.Certainty != specs.Certain {
				t.Errorf("reflects %t: %+v, want %s", reflects, e, kind)
			}
		}
		if found := l.allViolations(); len(found) != len(want) || found[a.Slot][specs.PrivateAttempt].Packets != 1 {
			t.Errorf("reflects %t: %+v", reflects, found)
		}
	}
}

// TestEnforcePrivate drops leaked frames and attempts, and nothing else.
func TestEnforcePrivate(t *testing.T) {
	t.Parallel()
	l := newSwitch(t, true)
	a, b := l.container(specs.ModePrivate), l.container(specs.ModePrivate)
	befriend(a, b)
	setNeighbour(t, l.lan, "br0", neighbour{b.ip, b.MAC})
	testnet.Run(t, l.lan, "ip", "address", "del", ipLAN.String()+"/24", "dev", "wire")
	testnet.Address(t, l.lan, "br0", ipLAN.String()+"/24")
	in := newInbox(t, b.NS)
	for _, kind := range []specs.Kind{specs.PrivateLeak, specs.PrivateAttempt} {
		a.Enforce, b.Enforce = []specs.Kind{kind}, []specs.Kind{kind}
		for _, c := range []*container{a, b} {
			must(t, l.maps.Register(c.Endpoint))
			must(t, l.maps.Zero(c.Slot))
		}
		sendFrom(t, a.NS, a.ip, b.ip)
		slot := map[specs.Kind]uint32{specs.PrivateLeak: b.Slot, specs.PrivateAttempt: a.Slot}[kind]
		if n := l.waitForKind(slot, kind); n != (specs.Broken{Packets: 1, Dropped: 1}) {
			t.Errorf("%s: %+v", kind, n)
		}
		sendFrom(t, l.lan, ipLAN, b.ip)
		if in.readUntil(ipLAN)[a.ip] {
			t.Errorf("%s: it arrives", kind)
		}
	}
}

// TestHostIsolation sends requests for the host's address, and frames to its MAC, and
// similar ones.
func TestHostIsolation(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModeBridge)
	host := netip.MustParseAddr("192.0.2.1")
	testnet.Address(t, l.ns, "eth0", "192.0.2.1/24")
	must(t, l.maps.SetHostAddresses(l.parent, []netip.Addr{host}))
	in := newInbox(t, l.lan)
	sendUDP(t, a.NS, netip.MustParseAddr("192.0.2.3"), 1, 100) // asks for a stranger's
	sendFrom(t, a.NS, a.ip, ipLAN)
	in.readUntil(a.ip)
	l.requireNoViolations("beside it")
	for i, arrange := range []func(){
		func() {}, // sends a request
		func() { // has the MAC, and nothing that waits for it
			testnet.Run(t, a.NS, "ip", "neigh", "del", host.String(), "dev", "net1")
			for _, ok := l.nextEvent(); ok; _, ok = l.nextEvent() {
			}
			a.addStaticNeighbour(neighbour{host, l.hostMAC})
		},
		func() { a.Enforce = []specs.Kind{specs.HostIsolation} }, // neither is sent
	} {
		arrange()
		must(t, l.maps.Register(a.Endpoint))
		must(t, l.maps.Zero(a.Slot))
		sendUDP(t, a.NS, host, 1, 100)
		e := l.readEvent()
		if e.Kind != specs.HostIsolation || e.Sender != a.Slot || e.Receiver != 0 || e.Dropped != (i == 2) {
			t.Errorf("%d: %+v", i, e)
		}
		if ethertype := e.Bytes[13]; (ethertype == 6) != (i == 0) {
			t.Errorf("%d: not what it was to be: %x", i, e.Bytes)
		}
	}
	sendFrom(t, a.NS, a.ip, ipLAN)
	in.readUntil(a.ip)
}

// TestSpoofedAddressQueries tests, frame by frame, which frames ask for an address.
func TestSpoofedAddressQueries(t *testing.T) {
	t.Parallel()
	for _, mode := range []specs.Mode{specs.ModePrivate, specs.ModeBridge} {
		x := newBench(t, mode, mode)
		x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: mode, Cookie: x.cookie, Addresses: []netip.Addr{ipB, ip6B}})
		must(t, x.maps.SetHostAddresses(1, []netip.Addr{ipLAN, ip6LAN}))
		attempt := specs.PrivateAttempt
		if mode == specs.ModeBridge {
			attempt = ""
		}
		for name, c := range map[string]struct {
			frame []byte
			kind  specs.Kind
		}{
			"ARP for a sibling":         {requestOf(ipA, ipB, 1), attempt},
			"ARP for the host":          {requestOf(ipA, ipLAN, 1), specs.HostIsolation},
			"ARP for a stranger":        {requestOf(ipA, ipGroup, 1), ""},
			"ARP answer to a sibling's": {requestOf(ipA, ipB, 2), ""},
			"a probe":                   {requestOf(ipZero, ipLAN, 1), ""},
			"ND for a sibling":          {icmp6(ip6A, 135, ip6B), attempt},
			"ND for the host":           {icmp6(ip6A, 135, ip6LAN), specs.HostIsolation},
			"ND for a stranger":         {icmp6(ip6A, 135, ip6Link), ""},
			"duplicate detection":       {icmp6(ip6Zero, 135, ip6LAN), ""},
			"an answer":                 {icmp6(ip6A, 136, ip6LAN), ""},
			"to a sibling":              {plainFrame(macB, macA), attempt},
			"to the host":               {plainFrame(macHost, macA), specs.HostIsolation},
			"ARP answer to the host":    {toHost(requestOf(ipA, ipLAN, 2)), specs.HostIsolation},
			"answer to a probe of it":   {toHost(requestOf(ipA, ipZero, 2)), ""},
			"to itself":                 {plainFrame(macA, macA), ""},
			"to the LAN":                {plainFrame(macLAN, macA), ""},
		} {
			if j := x.judgeFrame(egress, c.frame); !j.onlyViolation(slotA, c.kind) {
				t.Errorf("%s, %s: %+v, want %q", mode, name, j, c.kind)
			}
		}
		x.mustRegister(Endpoint{Slot: slotA, MAC: macA, Mode: specs.ModePassthru, Cookie: x.cookie})
		if j := x.judgeFrame(egress, requestOf(ipA, ipLAN, 1)); !j.onlyViolation(slotA, "") {
			t.Errorf("passthru: %+v", j)
		}
	}
}

// requestOf returns an ARP message from A with an operation.
func requestOf(sender, target netip.Addr, operation byte) []byte {
	return withByte(arpOf(sender, target), 21, operation)
}

// toHost returns a frame with the host's MAC as its destination.
func toHost(frame []byte) []byte {
	copy(frame, macHost[:])
	return frame
}

// TestLeaksByModes tests which mode may receive from which off the wire, just after the
// frame was sent.
func TestLeaksByModes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from, to specs.Mode
		kind     specs.Kind
	}{
		{specs.ModePrivate, specs.ModePrivate, specs.PrivateLeak},
		{specs.ModeBridge, specs.ModePrivate, specs.PrivateLeak},
		{specs.ModeVEPA, specs.ModePrivate, specs.PrivateLeak},
		{specs.ModePrivate, specs.ModeVEPA, ""},
		{specs.ModeVEPA, specs.ModeVEPA, ""},
		{specs.ModeVEPA, specs.ModeBridge, ""},
		{specs.ModeBridge, specs.ModeVEPA, ""},
		{specs.ModeBridge, specs.ModeBridge, ""},
	} {
		x := newBench(t, c.from, c.to)
		x.runFrame(egress, plainFrame(macB, macA), nil)
		must(t, x.maps.zeroViolations(slotA)) // of the attempts
		j := x.judgeMore(ingress, plainFrame(macB, macA))
		if !j.onlyViolation(slotB, c.kind) {
			t.Errorf("%s to %s: %+v, want %q", c.from, c.to, j, c.kind)
		}
	}
}

// TestDuplicateMACUnicast lets another machine, behind a tap as behind a wire, send with an
// endpoint's MAC to the host and to a sibling.
func TestDuplicateMACUnicast(t *testing.T) {
	t.Parallel()
	host := newQuietNamespace(t)
	tap := testnet.Tap(t, host, "tap0")
	l := labOn(t, host, "tap0", Options{})
	a, b := l.container(specs.ModeVEPA), l.container(specs.ModeVEPA)
	c, d := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	tap.Write(plainFrame(l.hostMAC, l.hostMAC))
	tap.Write(plainFrame(d.MAC, c.MAC)) // like a frame that the driver hands over without a socket
	tap.Write(ethernet(b.MAC, a.MAC, 0x806, requestOf(a.ip, b.ip, 2)[14:]))
	b.expectCounts("what comes first", receiveLocal(countOf(1, 42)))
	l.requireNoViolations("what may be theirs")
	for to, receiver := range map[specs.MAC]uint32{l.hostMAC: 0, b.MAC: b.Slot, d.MAC: d.Slot} {
		must(t, l.maps.Zero(a.Slot))
		tap.Write(plainFrame(to, a.MAC))
		e := l.readEvent()
		if e.Kind != specs.DuplicateMAC || e.Counted != a.Slot || e.Owner != a.Slot || e.Sender != 0 || e.Receiver != receiver ||
			e.Certainty != specs.Suspected || e.Evidence != specs.ByNotSent {
			t.Errorf("to %s: %+v", to, e)
		}
		testnet.Eventually(t, "a frame within a second of one that the endpoint itself has sent", func() bool {
			must(t, l.maps.Zero(a.Slot))
			start := time.Now()
			sendRaw(t, a.NS, "net1", plainFrame(to, a.MAC))
			testnet.Eventually(t, "what it sends itself", func() bool { return l.slotState(a.Slot).Out != 0 })
			must(t, l.maps.zeroViolations(a.Slot)) // of the attempts to find the host
			tap.Write(plainFrame(to, a.MAC))
			tap.Write(plainFrame(b.MAC, specs.MAC{2, 0, 0x5e, 0, 0x53, 0x77}))
			testnet.Eventually(t, "what comes after it", func() bool { return l.counters(b.Slot).Receive.External.Unicast.Packets > 0 })
			soon := time.Since(start) < 900*time.Millisecond // a loaded machine may take longer
			if soon {
				l.requireKindAbsent(a.Slot, specs.DuplicateMAC)
			}
			must(t, l.maps.Zero(b.Slot))
			for _, ok := l.nextEvent(); ok; _, ok = l.nextEvent() {
			}
			return soon
		})
	}
}

// requireKindAbsent checks that a kind was not found.
func (l *lab) requireKindAbsent(slot uint32, kind specs.Kind) {
	l.Helper()
	if n := l.allViolations()[slot][kind]; n.Packets != 0 {
		l.Errorf("%s: %+v", kind, n)
	}
}
