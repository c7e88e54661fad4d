package bpf

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// addSecondLink gives a container another macvlan interface on the parent, eth1, like one of an
// engine's own network, and returns its MAC.
func (c *container) addSecondLink(mac specs.MAC) specs.MAC {
	c.lab.Helper()
	must(c.lab, testnet.Netlink(c.lab, c.lab.ns).LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{
			Name: "eth1", ParentIndex: c.lab.parent, Namespace: netlink.NsFd(c.FD()), HardwareAddr: mac[:],
		},
		Mode: netlink.MACVLAN_MODE_BRIDGE,
	}))
	testnet.Up(c.lab, c.NS, "eth1")
	return macOf(c.lab, c.NS, "eth1")
}

// sendDropped sends a frame that must be dropped on its way.
func sendDropped(t testing.TB, c *container, frame []byte) {
	t.Helper()
	index := testnet.Link(t, c.NS, "net1").Attrs().Index
	testnet.In(t, c.NS, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}); !errors.Is(err, unix.ENOBUFS) {
			t.Errorf("a frame that is to be dropped: %v, want ENOBUFS", err)
		}
	})
}

// TestOtherInterfaceOfTheContainer gives a container a second macvlan interface that does
// not belong to berth: its frames, also ARP with the address of the first, are no violation
// and are not dropped. Forged frames are.
func TestOtherInterfaceOfTheContainer(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root, testnet.Types)
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	must(t, l.noSibling)
	a.Enforce = []specs.Kind{specs.MACSpoof}
	must(t, l.maps.Register(a.Endpoint))
	second := a.addSecondLink(specs.MAC{2, 0, 0x5e, 0, 0x53, 0x21})
	other := netip.MustParseAddr("192.0.2.50")
	for i, to := range []*receiver{newReceiver(t, l.lan, "wire", ipLAN, ip6LAN), newReceiver(t, b.NS, "net1", b.ip, ip6B)} {
		datagram := datagram4(other, 9, 1009, forgedText)
		arp := arpMessage(1, 0x604, a.ip)
		sendRaw(t, a.NS, "eth1", datagram(second, to))
		sendRaw(t, a.NS, "eth1", arp(second, to))
		testnet.Eventually(t, "what the other interface sends", func() bool { return arrivesAt(1009)(second, to) })
		if found := l.allViolations()[a.Slot]; len(found) != 0 {
			t.Errorf("%d: what the other interface sends is a violation: %v", i, found)
		}
	}
	if !namesSenders() {
		return
	}
	for name, forged := range map[string]specs.MAC{"nobody's MAC": macB, "the sibling's": b.MAC} {
		must(t, l.maps.Zero(a.Slot))
		sendDropped(t, a, plainFrame(l.lanMAC, forged))
		if found := l.allViolations()[a.Slot][specs.MACSpoof]; found.Dropped != 1 {
			t.Errorf("%s: %+v, want it dropped", name, l.allViolations())
		}
	}
	must(t, l.maps.Zero(a.Slot))
	testnet.Run(t, a.NS, "ip", "link", "set", "net1", "address", macB.String())
	sendDropped(t, a, plainFrame(l.lanMAC, macB))
	if found := l.allViolations()[a.Slot][specs.MACSpoof]; found.Dropped != 1 {
		t.Errorf("a changed MAC: %+v, want it dropped", l.allViolations())
	}
}

// TestAnswersToAProbe lets another machine have an address that an endpoint probes: its
// answers are no violation, its later frames are.
func TestAnswersToAProbe(t *testing.T) {
	t.Parallel()
	w := newWired(t)
	a, b := w.container(specs.ModeBridge), w.container(specs.ModeBridge)
	a.Addresses = append(a.Addresses, ip6A)
	must(t, w.maps.Register(a.Endpoint))
	answer := arpFor(a.ip, ipZero)
	answer[7] = 2
	copy(answer[8:], w.other[:])
	announce := arpFor(a.ip, a.ip)
	announce[7] = 1
	copy(announce[8:], w.other[:])
	advertise := icmp6(ip6Link, 136, ip6A)
	copy(advertise[6:], w.other[:])
	fires := func(what string, frame []byte, want bool) {
		t.Helper()
		w.resetViolations(a)
		w.sendFromWire(b, frame)
		if n := w.allViolations()[a.Slot][specs.DuplicateIP].Packets; (n != 0) != want {
			t.Errorf("%s: %d violations, want some: %t", what, n, want)
		}
	}
	probed := func(ago uint32) {
		t.Helper()
		s := w.slotState(a.Slot)
		s.Probed -= ago
		must(t, w.maps.putElement(mapStates, a.Slot, s))
	}
	fires("an announcement", ethernet(macAll, w.other, 0x806, announce), true)
	fires("an advertisement", advertise, true)
	fires("an answer to a probe", ethernet(a.MAC, w.other, 0x806, answer), false)
	for name, probe := range map[string][]byte{
		"ARP": ethernet(macAll, a.MAC, 0x806, arpFor(ipZero, a.ip)),
		"ND":  ethernet(macGroup, a.MAC, 0x86dd, solicitation(ip6Zero, ip6A)),
	} {
		must(t, w.maps.putElement(mapStates, a.Slot, stateValue{}))
		sendRaw(t, a.NS, "net1", probe)
		if w.slotState(a.Slot).Probed == 0 {
			t.Fatalf("%s: a probe is not noted", name)
		}
		probed(200)
		fires(name+", a while later: an announcement", ethernet(macAll, w.other, 0x806, announce), true)
		fires(name+", a while later: an answer", ethernet(a.MAC, w.other, 0x806, answer), false)
		fires(name+", a while later: an advertisement", advertise, false)
		probed(2000)
		fires(name+", long ago: an advertisement", advertise, true)
	}
	must(t, w.maps.putElement(mapStates, a.Slot, stateValue{}))
	testnet.Eventually(t, "an announcement that comes just after a probe", func() bool {
		w.resetViolations(a)
		sendRaw(t, a.NS, "net1", ethernet(macAll, a.MAC, 0x806, arpFor(ipZero, a.ip)))
		w.sendFromWire(b, ethernet(macAll, w.other, 0x806, announce))
		return w.allViolations()[a.Slot][specs.DuplicateIP].Packets == 0
	})
}

// TestIPvlanSpoof lets A send with B's address and with an unused one, to the wire, to B,
// and to all: the violation is counted for A.
func TestIPvlanSpoof(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	for _, helper := range []bool{true, false} {
		if helper && !netnsHelper() {
			continue
		}
		x := ipvlanBench(t, helper)
		cookie := x.Datapath.cookie
		a := Endpoint{Slot: slotA, ParentIndex: 1, Index: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Cookie: cookie, Addresses: []netip.Addr{ipA, ip6A}}
		b := Endpoint{Slot: slotB, ParentIndex: 1, MAC: macHost, Driver: specs.IPvlan, Mode: specs.ModeL2, Cookie: cookie + 1, Addresses: []netip.Addr{ipB, ip6B}}
		must(t, x.maps.Register(b))
		testnet.In(t, x.ns, func() { must(t, x.maps.Register(a)); must(t, x.maps.AttachInside(SiblingProgram, a)) })
		data := make([]byte, 66)
		for name, c := range map[string]struct {
			frame  []byte
			parent specs.Kind // found at the parent
			inside specs.Kind // found at the interface
		}{
			"B's, to the wire":      {ethernet(macLAN, macHost, 0x800, ip4(17, ipB, ipLAN, data)), specs.IPSpoof, ""},
			"nobody's, to the wire": {ethernet(macLAN, macHost, 0x800, ip4(17, ipLAN, ipLAN, data)), specs.IPSpoof, ""},
			"B's, to B":             {ethernet(macHost, macHost, 0x800, ip4(17, ipB, ipB, data)), specs.IPSpoof, specs.IPSpoof},
			"nobody's, to B":        {ethernet(macHost, macHost, 0x800, ip4(17, ipLAN, ipB, data)), specs.IPSpoof, specs.IPSpoof},
			"A's, to B":             {ethernet(macHost, macHost, 0x800, ip4(17, ipA, ipB, data)), "", ""},
			"A's, to the wire":      {ethernet(macLAN, macHost, 0x800, ip4(17, ipA, ipLAN, data)), "", ""},
		} {
			for _, enforce := range []bool{false, true} {
				a.Enforce = nil
				if enforce {
					a.Enforce = []specs.Kind{specs.IPSpoof}
				}
				testnet.In(t, x.ns, func() { must(t, x.maps.Register(a)) })
				if j := x.judgeFrame(egress, c.frame); !j.onlyViolation(slotA, c.parent) || j.drop != (enforce && c.parent != "") {
					t.Errorf("%s, at the parent, helper %t, enforce %t: %+v, want %q", name, helper, enforce, j, c.parent)
				}
				want := c.inside
				if enforce { // it precedes the copies to siblings
					want = c.parent
				}
				must(t, x.maps.Zero(slotA))
				must(t, x.maps.Zero(slotB))
				var j judged
				testnet.In(t, x.ns, func() { j.drop = programVerdict(t, loadedProgram(x.sibling), c.frame, new(skb)) == verdictDrop })
				j.found = x.allViolations()
				if !j.onlyViolation(slotA, want) || j.drop != (enforce && want != "") {
					t.Errorf("%s, inside, helper %t, enforce %t: %+v, want %q", name, helper, enforce, j, want)
				}
			}
		}
	}
}
