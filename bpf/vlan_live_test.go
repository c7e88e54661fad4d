package bpf

import (
	"maps"
	"strconv"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestVLANs checks the owner of a tagged frame on a trunk: the endpoint with that MAC and
// VLAN, else the one with the MAC on the trunk itself.
func TestVLANs(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	b := Endpoint{Slot: slotB, VLAN: 7, MAC: macA, Mode: specs.ModeBridge, Cookie: x.cookie}
	x.mustRegister(b)
	b.MAC = macB
	x.mustRegister(b)
	for name, tt := range map[string]struct {
		frame []byte
		a, b  uint64
	}{
		"untagged":            {plainFrame(macA, macLAN), 1, 0},
		"its VLAN":            {tagFrame(7, plainFrame(macA, macLAN)), 0, 1},
		"its VLAN, urgent":    {tagFrame(7|5<<13, plainFrame(macA, macLAN)), 0, 1},
		"another VLAN":        {tagFrame(8, plainFrame(macA, macLAN)), 1, 0},
		"priority only":       {tagFrame(0, plainFrame(macA, macLAN)), 1, 0},
		"not on the trunk":    {plainFrame(macB, macLAN), 0, 0},
		"not in this VLAN":    {tagFrame(8, plainFrame(macB, macLAN)), 0, 0},
		"cut off in the tag":  {tagFrame(7, plainFrame(macA, macLAN))[:15], 0, 0},
		"cut off, no payload": {plainFrame(macB, macLAN)[:14], 0, 0},
	} {
		a, b := x.countFrame(ingress, tt.frame, nil)
		if a != receiveExternal(countOf(tt.a, tt.a*100)) || b != receiveExternal(countOf(tt.b, tt.b*100)) {
			t.Errorf("%s: A %+v, B %+v", name, a, b)
		}
	}
	if a, b := x.countFrame(ingress, tagFrame(9, plainFrame(macA, macA)), nil); a.Transmit.Local.Unicast != hundred || b != none {
		t.Errorf("between siblings in a VLAN: A %+v, B %+v", a, b)
	}
}

// TestOwnedVLANs checks that a trunk leaves the frames of a VLAN to its sub-interface,
// except those that pass the trunk alone: sent by an endpoint on the trunk that tags them
// itself.
func TestOwnedVLANs(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	const device = 40
	own := map[string]func(){
		"the VLAN's endpoint": func() {
			x.mustRegister(Endpoint{Slot: slotB, ParentIndex: device, OfVLAN: VLAN{1, 7}, MAC: macA, Mode: specs.ModeBridge, Cookie: x.cookie})
		},
		"an endpoint on the trunk": func() {
			must(t, x.maps.Unregister(Endpoint{Slot: slotB, ParentIndex: device, MAC: macA, Mode: specs.ModeBridge, Cookie: x.cookie}))
		},
	}
	on := func(what string, in, out specs.Count) {
		t.Helper()
		if a, _ := x.countFrame(ingress, tagFrame(7, plainFrame(macA, macLAN)), nil); a != receiveExternal(in) {
			t.Errorf("%s, ingress: %+v, want %+v", what, a, in)
		}
		if a, _ := x.countFrame(egress, tagFrame(7, plainFrame(macLAN, macA)), nil); a != transmitExternal(specs.Casts{Unicast: out}) {
			t.Errorf("%s, egress: %+v, want %+v", what, a, out)
		}
	}
	on("no sub-interface", hundred, hundred)
	must(t, x.SetVLANs(map[VLAN]int{{1, 7}: device, {1, 8}: 41, {2, 9}: 42}))
	on("a sub-interface", specs.Count{}, hundred)
	if a, _ := x.countFrame(ingress, tagFrame(7, plainFrame(macA, macA)), nil); a != transmitLocal(hundred) {
		t.Errorf("handed over by the driver, which the receiver does not get: %+v", a)
	}
	for _, name := range []string{"the VLAN's endpoint", "an endpoint on the trunk"} {
		own[name]()
		on(name, specs.Count{}, hundred) // the tag is in the data, which a sub-interface leaves to the trunk
	}
	if a, _ := x.countFrame(ingress, plainFrame(macA, macLAN), nil); a != receiveExternal(hundred) {
		t.Errorf("untagged beside it: %+v", a)
	}
	must(t, x.SetVLANs(map[VLAN]int{{1, 8}: 41}))
	on("gone", hundred, hundred)
	x.mustRegister(Endpoint{Slot: slotB, ParentIndex: 50, OfVLAN: VLAN{1, 7}, MAC: macB, Mode: specs.ModeBridge})
	on("told by an endpoint", specs.Count{}, hundred)
	if all, err := x.maps.registeredVLANs(); err != nil || !maps.Equal(all, map[VLAN]int{{1, 7}: 50, {1, 8}: 41}) {
		t.Errorf("in the map: %v, %v", all, err)
	}
}

// TestTaggedFrames gives a trunk tagged frames off a wire.
func TestTaggedFrames(t *testing.T) {
	t.Parallel()
	host := newQuietNamespace(t)
	tap := testnet.Tap(t, host, "eth0")
	l := labOn(t, host, "eth0", Options{})
	a := l.container(specs.ModeBridge)
	seven := a.Endpoint
	seven.VLAN, seven.Slot = 7, l.next
	must(t, l.maps.Register(seven))
	tap.Write(tagFrame(7, plainFrame(a.MAC, macLAN)))
	tap.Write(padFrame(tagFrame(8, ethernet(a.MAC, macLAN, 0x806, arp(ipLAN.AsSlice())))))
	expectCounters(t, l.maps, seven.Slot, "its VLAN", receiveExternal(countOf(1, 100)))
	a.expectCounts("another VLAN", receiveExternal(countOf(1, 42)))
}

// TestTrunkAndVLAN counts at a trunk and at the sub-interface of one of its VLANs: a container on
// each, the one on the trunk in a VLAN that it tags itself.
func TestTrunkAndVLAN(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.VLAN)
	l := newLab(t, Options{})
	tag := func(ns *testnet.NS, on string, id int, address string) string {
		name := on + "." + strconv.Itoa(id)
		testnet.Run(t, ns, "ip", "link", "add", "link", on, "name", name, "type", "vlan", "id", strconv.Itoa(id))
		testnet.Up(t, ns, name)
		if address != "" {
			testnet.Address(t, ns, name, address)
		}
		return name
	}
	tag(l.lan, "wire", 100, "198.51.100.2/25")
	tag(l.lan, "wire", 200, "198.51.100.130/25")
	sub := testnet.Link(t, l.ns, tag(l.ns, "eth0", 100, ""))
	l.inHost(func() error { return l.SetVLANs(map[VLAN]int{{l.parent, 100}: sub.Attrs().Index}) })
	l.inHost(func() error { return l.Attach(sub.Attrs().Index, specs.MAC(sub.Attrs().HardwareAddr)) })

	onTrunk := l.container(specs.ModeBridge)
	tag(onTrunk.NS, "net1", 200, "198.51.100.140/25")
	trunk := l.parent
	l.parent = sub.Attrs().Index
	onVLAN := l.stranger(specs.ModeBridge)
	l.parent = trunk
	testnet.Address(t, onVLAN.NS, "net1", "198.51.100.10/25")
	onVLAN.Slot, onVLAN.OfVLAN = l.next, VLAN{trunk, 100}
	must(t, l.maps.Register(onVLAN.Endpoint))
	// The same MAC on the trunk, as another endpoint's: the frames of its VLAN do not belong to it.
	twin := onVLAN.Endpoint
	twin.ParentIndex, twin.OfVLAN, twin.Slot, twin.Cookie = trunk, VLAN{}, l.next+1, 0
	must(t, l.maps.Register(twin))

	for _, c := range []struct {
		*container
		to string
	}{{onTrunk, "198.51.100.130"}, {onVLAN, "198.51.100.2"}} {
		testnet.Run(t, c.NS, "ping", "-c", "5", "-i", "0.05", "-s", "100", "-W", "20", c.to)
		n := countOf(5, 5*(14+20+8+100))
		testnet.Eventually(t, "five each way and ARP", func() bool {
			k := l.counters(c.Slot)
			return k.Receive.External.Unicast.Packets >= 6 && k.Transmit.External.Unicast.Packets >= 5
		})
		k := l.counters(c.Slot)
		if got := k.Receive.External.Unicast; got != n.Plus(countOf(1, 42)) && got != n.Plus(countOf(2, 84)) {
			t.Errorf("%s received %+v, want %+v and ARP", c.to, got, n)
		}
		if got := k.Transmit.External.Unicast; got != n && got != n.Plus(countOf(1, 42)) {
			t.Errorf("%s sent %+v, want %+v and perhaps ARP", c.to, got, n)
		}
		if got := k.Transmit.External.Broadcast; got != countOf(1, 42) {
			t.Errorf("%s sent %+v to all, want one question", c.to, got)
		}
	}
	if got := l.counters(twin.Slot); got != none {
		t.Errorf("counted twice: %+v", got)
	}
}
