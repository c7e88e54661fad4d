package bpf

import (
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"

	"berth/internal/testnet"
	"berth/specs"
)

// TestTrunkTagsOwnedVLAN lets a container on a trunk tag its frames with a VLAN that has a
// sub-interface on the host, with a container of its own: each frame is counted and judged
// once, for its sender.
func TestTrunkTagsOwnedVLAN(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	l := newLab(t, Options{})
	for on, ns := range map[string]*testnet.NS{"wire": l.lan, "eth0": l.ns} {
		testnet.Run(t, ns, "ip", "link", "add", "link", on, "name", on+".100", "type", "vlan", "id", "100")
		testnet.Up(t, ns, on+".100")
	}
	sub := testnet.Link(t, l.ns, "eth0.100")
	l.inHost(func() error { return l.SetVLANs(map[VLAN]int{{l.parent, 100}: sub.Attrs().Index}) })
	l.inHost(func() error { return l.Attach(sub.Attrs().Index, specs.MAC(sub.Attrs().HardwareAddr)) })
	trunk, sibling := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	inVLAN := l.inVLAN(sub.Attrs().Index)
	testnet.Address(t, l.lan, "wire.100", "203.0.113.2/24")
	to := newReceiver(t, l.lan, "wire.100", ipLAN, ip6LAN)

	own := func(c *container, port uint16) []byte { return datagram4(c.ip, 9, port, ownText)(c.MAC, to) }
	sendRaw(t, trunk.NS, "net1", tagFrame(100, own(trunk, 1009)))
	sendRaw(t, inVLAN.NS, "net1", own(inVLAN, 1009))
	for _, c := range []*container{trunk, inVLAN} {
		c.expectCounts("one frame", transmitExternal(specs.Casts{Unicast: countOf(1, udpBytes(len(ownText)))}))
	}
	l.requireNoEvent("its own frames")

	sendRaw(t, trunk.NS, "net1", tagFrame(100, ethernet(sibling.MAC, trunk.MAC, 0x800, own(trunk, 9)[14:])))
	want := transmitExternal(specs.Casts{Unicast: countOf(1, udpBytes(len(ownText)))})
	trunk.expectCounts("to a sibling", want.Plus(transmitLocal(countOf(1, udpBytes(len(ownText))))))
	sibling.expectCounts("to a sibling, in a VLAN that the host takes", none)

	forged := tagFrame(100, datagram4(trunk.ip, 67, 68, bootReply)(trunk.MAC, to))
	l.tries(trunk, specs.RogueDHCP, forged, to)
	if namesSenders() {
		other := l.alsoInVLAN(trunk, sub.Attrs().Index)
		for name, mac := range map[string]specs.MAC{
			"nobody's": macB, "the VLAN's container's": inVLAN.MAC, "the host's": l.hostMAC, "its other interface's": other,
		} {
			t.Log(name)
			l.tries(trunk, specs.MACSpoof, tagFrame(100, datagram4(trunk.ip, 9, 68, bootReply)(mac, to)), to)
		}
	}
	if n := l.violations(inVLAN.Slot); n != 0 {
		t.Errorf("the VLAN's container has %d violations: %v", n, l.allViolations())
	}
}

// inVLAN creates a container on another parent of the lab.
func (l *lab) inVLAN(parent int) *container {
	l.Helper()
	trunk := l.parent
	l.parent = parent
	c := l.stranger(specs.ModeBridge)
	l.parent = trunk
	c.Slot, c.OfVLAN, l.next = l.next, VLAN{trunk, 100}, l.next+1
	must(l, l.maps.Register(c.Endpoint))
	return c
}

// alsoInVLAN gives a container a second interface, on another parent, and returns its MAC.
func (l *lab) alsoInVLAN(c *container, parent int) specs.MAC {
	l.Helper()
	must(l, testnet.Netlink(l, l.ns).LinkAdd(&netlink.Macvlan{
		LinkAttrs: netlink.LinkAttrs{Name: "net2", ParentIndex: parent, Namespace: netlink.NsFd(c.FD())},
		Mode:      netlink.MACVLAN_MODE_BRIDGE,
	}))
	e := Endpoint{Slot: l.next, ParentIndex: parent, OfVLAN: VLAN{l.parent, 100}, MAC: macOf(l, c.NS, "net2"),
		Driver: specs.Macvlan, Mode: specs.ModeBridge, Cookie: c.Cookie, Addresses: []netip.Addr{c.ip}}
	l.next++
	must(l, l.maps.Register(e))
	return e.MAC
}

// tries sends a frame that breaks a rule, first if nothing is enforced and then if its kind is. It
// must be counted once each time, and arrive the first time only.
func (l *lab) tries(c *container, kind specs.Kind, frame []byte, to *receiver) {
	l.Helper()
	for _, enforce := range [][]specs.Kind{nil, {kind}} {
		c.Enforce = enforce
		must(l, l.maps.Register(c.Endpoint))
		must(l, l.maps.Zero(c.Slot))
		if enforce == nil {
			sendRaw(l, c.NS, "net1", frame)
			testnet.Eventually(l, "the frame", func() bool { return arrivesAt(68)(c.MAC, to) })
		} else {
			sendDropped(l, c, frame)
		}
		want := specs.Broken{Packets: 1, Dropped: uint64(len(enforce))}
		if found := l.allViolations()[c.Slot]; len(found) != 1 || found[kind] != want {
			l.Errorf("%s, enforced %v: %v, want %+v", kind, enforce, l.allViolations(), want)
		}
	}
}
