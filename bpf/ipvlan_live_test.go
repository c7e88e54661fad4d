package bpf

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"berth/bpf/sys"
	"berth/internal/testnet"
	"berth/specs"
)

// ipvlanBench has two ipvlan endpoints on lo, whose MAC is macHost.
func ipvlanBench(t *testing.T, helper bool) *bench {
	t.Helper()
	testnet.Need(t, testnet.Root)
	ns := testnet.Namespace(t)
	testnet.Run(t, ns, "ip", "link", "set", "lo", "address", macHost.String())
	x := &bench{TB: t, ns: ns}
	testnet.In(t, ns, func() {
		var err error
		x.Datapath, err = loadWith(bpffs(t), Options{}, constants{netnsHelper: helper, sockets: true})
		if err != nil {
			t.Fatalf("%+v", err)
		}
	})
	t.Cleanup(func() { must(t, x.Close()) })
	must(t, x.ownMAC(1, macHost))
	for slot, addresses := range map[uint32][]netip.Addr{slotA: {ipA, ip6A}, slotB: {ipB, ip6B}} {
		must(t, x.maps.Register(Endpoint{Slot: slot, ParentIndex: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Addresses: addresses}))
	}
	return x
}

// solicitation returns a neighbour solicitation (RFC 4861, section 4.3).
func solicitation(from, target netip.Addr) []byte {
	return ip6(58, from, netip.MustParseAddr("ff02::1:ff00:a"), slices.Concat([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice(), make([]byte, 30)))
}

// arpFor returns an ARP packet with a target address.
func arpFor(sender, target netip.Addr) []byte {
	p := arp(sender.AsSlice())
	copy(p[24:], target.AsSlice())
	return p
}

// TestIPvlanRules has the frames that count for an endpoint by its address, and similar
// ones that do not.
func TestIPvlanRules(t *testing.T) {
	t.Parallel()
	data := make([]byte, 66)
	zero, zero6, lan6 := netip.IPv4Unspecified(), netip.IPv6Unspecified(), netip.MustParseAddr("2001:db8::2")
	x := ipvlanBench(t, false)
	sent := func(n uint64) specs.Counters { return transmitExternal(specs.Casts{Unicast: countOf(1, n)}) }
	for name, tt := range map[string]struct {
		way   direction
		frame []byte
		a, b  specs.Counters
	}{
		"egress IPv4":               {egress, ethernet(macLAN, macHost, 0x800, ip4(17, ipA, ipLAN, data)), sent(100), none},
		"egress IPv6":               {egress, ethernet(macLAN, macHost, 0x86dd, ip6(17, ip6A, lan6, data)), sent(120), none},
		"egress ARP":                {egress, ethernet(macLAN, macHost, 0x806, arpFor(ipB, ipLAN)), none, sent(42)},
		"egress ARP probe":          {egress, ethernet(macAll, macHost, 0x806, arpFor(zero, ipA)), transmitExternal(specs.Casts{Broadcast: countOf(1, 42)}), none},
		"egress DAD":                {egress, ethernet(macGroup, macHost, 0x86dd, solicitation(zero6, ip6A)), transmitExternal(specs.Casts{Multicast: countOf(1, 108)}), none},
		"egress ND":                 {egress, ethernet(macGroup, macHost, 0x86dd, solicitation(ip6B, lan6)), none, transmitExternal(specs.Casts{Multicast: countOf(1, 108)})},
		"egress of the host":        {egress, ethernet(macLAN, macHost, 0x800, ip4(17, ipLAN, ipA, data)), none, none},
		"egress, the host asks":     {egress, ethernet(macAll, macHost, 0x806, arpFor(ipLAN, ipA)), none, none},
		"egress, not IP":            {egress, plainFrame(macLAN, macHost), none, none},
		"egress, not its MAC":       {egress, ethernet(macLAN, macB, 0x800, ip4(17, ipLAN, ipB, data)), none, none},
		"ingress IPv4":              {ingress, ethernet(macHost, macLAN, 0x800, ip4(17, ipLAN, ipA, data)), receiveExternal(countOf(1, 100)), none},
		"ingress IPv6":              {ingress, ethernet(macHost, macLAN, 0x86dd, ip6(17, lan6, ip6B, data)), none, receiveExternal(countOf(1, 120))},
		"ingress ARP":               {ingress, padFrame(ethernet(macHost, macLAN, 0x806, arpFor(ipLAN, ipA))), receiveExternal(countOf(1, 42)), none},
		"ingress from its address":  {ingress, ethernet(macHost, macLAN, 0x800, ip4(17, ipB, ipA, data)), receiveExternal(countOf(1, 100)), none},
		"ingress reflected":         {ingress, ethernet(macHost, macHost, 0x800, ip4(17, ipB, ipA, data)), receiveLocal(countOf(1, 100)), none},
		"ingress to the host":       {ingress, ethernet(macHost, macLAN, 0x800, ip4(17, ipA, ipLAN, data)), none, none},
		"ingress, handed over":      {ingress, ethernet(macHost, macHost, 0x800, ip4(17, ipA, ipLAN, data)), transmitLocal(countOf(1, 100)), none},
		"ingress to all":            {ingress, ethernet(macAll, macLAN, 0x806, arpFor(ipLAN, ipA)), none, none},
		"ingress, not for this MAC": {ingress, ethernet(macB, macLAN, 0x800, ip4(17, ipLAN, ipA, data)), none, none},
	} {
		if a, b := x.countFrame(tt.way, tt.frame, nil); a != tt.a || b != tt.b {
			t.Errorf("%s: A has\n%+v, want\n%+v, B\n%+v, want\n%+v", name, a, tt.a, b, tt.b)
		}
	}
	must(t, x.ownMAC(1, macB))
	must(t, x.Detach(1))
	must(t, x.ownMAC(1, macHost))
	if a, _ := x.countFrame(egress, ethernet(macLAN, macHost, 0x800, ip4(17, ipA, ipLAN, data)), nil); a != sent(100) {
		t.Errorf("attached again, with another MAC between: %+v", a)
	}
}

// TestSiblingProgram runs the sibling program on an endpoint's interface, which is lo, in a
// namespace that is not the initial one.
func TestSiblingProgram(t *testing.T) {
	t.Parallel()
	x := ipvlanBench(t, false)
	if x.noSibling != nil {
		t.Fatalf("%+v", x.noSibling)
	}
	e := Endpoint{Slot: slotA, ParentIndex: 1, Index: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Cookie: x.Datapath.cookie}
	local := ethernet(macHost, macHost, 0x800, ip4(17, ipA, ipB, make([]byte, 66)))
	check := func(what string, frame []byte, a, b specs.Counters) {
		t.Helper()
		must(t, x.maps.Zero(slotA))
		must(t, x.maps.Zero(slotB))
		testnet.In(t, x.ns, func() { runProgram(t, loadedProgram(x.sibling), frame, new(skb)) })
		if gotA, gotB := x.counters(slotA), x.counters(slotB); gotA != a || gotB != b {
			t.Errorf("%s: A has %+v, B %+v", what, gotA, gotB)
		}
	}
	check("not attached", local, none, none)
	testnet.In(t, x.ns, func() { must(t, x.maps.AttachInside(SiblingProgram, e)) })
	check("to a sibling", local, transmitLocal(hundred), receiveLocal(hundred))
	check("to the LAN", ethernet(macLAN, macHost, 0x800, ip4(17, ipA, ipB, make([]byte, 66))), none, none)
	check("to the host", ethernet(macHost, macHost, 0x800, ip4(17, ipA, ipLAN, make([]byte, 66))), none, none)
	check("in a VLAN", tagFrame(7, local), none, none)
	e.Mode = specs.ModeL3
	testnet.In(t, x.ns, func() { must(t, x.maps.AttachInside(SiblingProgram, e)) })
	check("in mode L3, whatever the MAC", ethernet(macAll, macHost, 0x800, ip4(17, ipA, ipB, make([]byte, 66))), transmitLocal(hundred), receiveLocal(hundred))
	must(t, x.maps.Unregister(e))
	check("after its end", local, none, none)
}

// newIPvlanPair creates a lab with two ipvlan containers on its parent.
func newIPvlanPair(t *testing.T, mode specs.Mode) (l *lab, a, b *container) {
	t.Helper()
	testnet.Need(t, testnet.IPvlan)
	l = newLab(t, Options{})
	a, b = l.ipvlan(mode), l.ipvlan(mode)
	testnet.Run(t, l.lan, "ip", "route", "add", "192.0.2.128/25", "dev", "wire")
	return l, a, b
}

// ipvlan creates a container with an ipvlan interface, net1, and registers it as a hook does.
func (l *lab) ipvlan(mode specs.Mode) *container {
	l.Helper()
	c := &container{NS: newQuietNamespace(l), lab: l, ip: netip.AddrFrom4([4]byte{192, 0, 2, byte(10 + len(l.neighbour))})}
	c.Endpoint = Endpoint{
		Slot: l.next, ParentIndex: l.parent, MAC: l.hostMAC, Driver: specs.IPvlan, Mode: mode, Addresses: []netip.Addr{c.ip},
	}
	l.next++
	must(l, testnet.Netlink(l, l.ns).LinkAdd(&netlink.IPVlan{
		LinkAttrs: netlink.LinkAttrs{Name: "net1", ParentIndex: l.parent, Namespace: netlink.NsFd(c.FD())},
		Mode: map[specs.Mode]netlink.IPVlanMode{
			specs.ModeL2: netlink.IPVLAN_MODE_L2, specs.ModeL3: netlink.IPVLAN_MODE_L3, specs.ModeL3S: netlink.IPVLAN_MODE_L3S,
		}[mode],
	}))
	c.Index = testnet.Link(l, c.NS, "net1").Attrs().Index
	testnet.In(l, c.NS, func() {
		var err error
		c.Cookie, err = netnsCookie()
		must(l, err)
	})
	l.inHost(func() error { return l.maps.Register(c.Endpoint) })
	testnet.In(l, c.NS, func() {
		must(l, l.maps.AttachInside(SiblingProgram, c.Endpoint))
		must(l, l.maps.AttachInside(GuardProgram, c.Endpoint))
	})
	testnet.Up(l, c.NS, "net1")
	testnet.Address(l, c.NS, "net1", c.ip.String()+"/24")
	if mode == specs.ModeL2 {
		c.addStaticNeighbour(neighbour{ipLAN, l.lanMAC})
		for _, n := range l.neighbour[1:] {
			c.addStaticNeighbour(n)
		}
	}
	l.addNeighbour(neighbour{c.ip, l.hostMAC})
	return c
}

// TestIPvlan counts the traffic of two containers, with each other and with the LAN, in
// every mode, in a network that enforces rules and one that does not.
func TestIPvlan(t *testing.T) {
	t.Parallel()
	for _, mode := range specs.Modes(specs.IPvlan) {
		for _, enforces := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, enforces %t", mode, enforces), func(t *testing.T) {
				t.Parallel()
				l, a, b := newIPvlanPair(t, mode)
				if enforces {
					for _, c := range []*container{a, b} {
						c.Enforce = specs.Enforceable()
						must(t, l.maps.Register(c.Endpoint))
					}
				}
				countIPvlan(t, l, a, b)
			})
		}
	}
}

func countIPvlan(t *testing.T, l *lab, a, b *container) {
	t.Helper()
	mode := a.Mode
	testnet.Address(t, l.ns, "eth0", "192.0.2.1/24") // L3 uses the host's routes
	setNeighbour(t, l.ns, "eth0", neighbour{ipLAN, l.lanMAC})
	if mode == specs.ModeL2 {
		a.addStaticNeighbour(neighbour{b.ip, l.hostMAC})
	}
	sendUDP(t, a.NS, ipLAN, 30, 100)
	sendSegmented(t, a.NS, ipLAN)
	sendUDP(t, l.lan, a.ip, 20, 3)
	want := transmitExternal(specs.Casts{Unicast: countOf(30, 30*udpBytes(100)).Plus(segmented)})
	want.Receive.External.Unicast = countOf(20, 20*udpBytes(3))
	a.expectCounts("with the LAN", want)

	sendUDP(t, a.NS, b.ip, 40, 200)
	sendSegmented(t, a.NS, b.ip)
	n := countOf(40, 40*udpBytes(200)).Plus(segmented)
	a.expectCounts("to a sibling", want.Plus(transmitLocal(n)))
	b.expectCounts("from a sibling", receiveLocal(n))

	before := sentSegments(t, b.NS)
	sendTCP(t, l.lan, a.NS, a.ip, 1<<20)
	sendTCP(t, b.NS, a.NS, a.ip, 1<<20)
	waitSettled(t, l, a, b)
	sent := sentSegments(t, b.NS) - before
	testnet.Eventually(t, "TCP between siblings", func() bool {
		return l.counters(b.Slot).Transmit.Local.Unicast.Packets == sent
	})
	if got := l.counters(a.Slot).Receive.Local.Unicast; got != l.counters(b.Slot).Transmit.Local.Unicast {
		t.Errorf("the receiver has %+v, the sender %+v", got, l.counters(b.Slot).Transmit.Local.Unicast)
	}
	if got := l.counters(b.Slot).Transmit.External.Total(); got != (specs.Count{}) {
		t.Errorf("counted as external too: %+v", got)
	}
	l.requireNoEvent(fmt.Sprintf("ipvlan in mode %s", mode))
}

// TestIPvlanRestart checks that the sibling program runs on without an agent, is replaced
// by the next one, and is removed with its endpoint.
func TestIPvlanRestart(t *testing.T) {
	t.Parallel()
	l, a, b := newIPvlanPair(t, specs.ModeL2)
	a.addStaticNeighbour(neighbour{b.ip, l.hostMAC})
	dir := filepath.Dir(l.pins.dir)
	for i := range uint64(3) {
		sendUDP(t, a.NS, b.ip, 10, 100)
		b.expectCounts("from a sibling", receiveLocal(countOf(10*(i+1), 10*(i+1)*udpBytes(100))))
		must(t, l.Close())
		l.Datapath = mustLoad(t, l.ns, dir, Options{})
	}
	must(t, l.maps.Unregister(b.Endpoint))
	must(t, l.maps.Unregister(a.Endpoint))
	links := 0
	must(t, l.pins.eachInside(func(OwnProgram, string, *sys.Link) error { links++; return nil }))
	if links != 0 {
		t.Errorf("%d links are pinned after the end", links)
	}
}
