package bpf

import (
	"net/netip"
	"testing"

	"berth/internal/testnet"
	"berth/specs"
)

// TestGroupFramesReceived checks the statement of specs/metrics.md on received multicast
// and broadcast: the interface's own statistics count them, under the name "multicast",
// each copy that a filter let through, from the LAN and from siblings alike. In source mode
// they do not.
func TestGroupFramesReceived(t *testing.T) {
	t.Parallel()
	for mode, want := range map[specs.Mode]uint64{
		specs.ModeBridge: 3 + 4 + 5, specs.ModePrivate: 3 + 4, specs.ModeVEPA: 3 + 4,
		specs.ModePassthru: 3 + 4, specs.ModeSource: 0,
	} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			l := newLab(t, Options{})
			c := l.container(mode)
			testnet.Run(t, c.NS, "ip", "maddr", "add", "01:00:5e:7c:00:01", "dev", "net1") // ipGroup's
			if mode == specs.ModeSource {
				testnet.Run(t, c.NS, "ip", "link", "set", "net1", "type", "macvlan", "macaddr", "add", l.lanMAC.String())
			}
			all := netip.MustParseAddr("192.0.2.255")
			testnet.Run(t, l.lan, "ip", "route", "add", "233.252.0.0/24", "dev", "wire")
			// Frames to a group that is not joined. The filter has 256 places (mc_hash in
			// drivers/net/macvlan.c), so sometimes it lets that group through too.
			const others, more = 2, 200
			sendUDP(t, l.lan, netip.MustParseAddr("233.252.0.2"), others, 100+more)
			sendUDP(t, l.lan, all, 3, 100)
			sendUDP(t, l.lan, ipGroup, 4, 100)
			if mode != specs.ModePassthru {
				sendUDP(t, l.container(mode).NS, all, 5, 100)
			}
			sendUDP(t, l.lan, c.ip, 1, 100)
			statistics := func() (multicast, packets, strange uint64) {
				s := testnet.Link(t, c.NS, "net1").Attrs().Statistics
				strange = (s.RxBytes - s.RxPackets*udpBytes(100)) / more
				return s.Multicast, s.RxPackets - strange, strange
			}
			let := uint64(0) // of the group that is not joined
			if mode == specs.ModeSource {
				let = others // only its list decides
			}
			arrive := uint64(3 + 4 + 1)
			if mode == specs.ModeBridge {
				arrive += 5
			}
			testnet.Eventually(t, "the frames", func() bool { _, n, _ := statistics(); return n >= arrive })
			got, packets, strange := statistics()
			if packets != arrive || strange != let && strange != others {
				t.Errorf("%d frames and %d of the group that is not joined, want %d and %d", packets, strange, arrive, let)
			}
			if mode != specs.ModeSource {
				want += strange
			}
			if got != want {
				t.Errorf("the interface counts %d to groups, want %d", got, want)
			}
			var unicast specs.Count
			if mode != specs.ModeSource {
				unicast = countOf(1, udpBytes(100))
			}
			c.expectCounts("at the parent", receiveExternal(unicast))
		})
	}
}

// TestSourceList checks that an endpoint in source mode is counted the frames that its list
// lets through.
func TestSourceList(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	e := Endpoint{Slot: slotA, ParentIndex: 1, MAC: macA, Driver: specs.Macvlan, Mode: specs.ModeSource, Sources: []specs.MAC{macLAN}}
	must(t, x.maps.Register(e))
	if a, _ := x.countFrame(ingress, plainFrame(macA, macLAN), nil); a != receiveExternal(hundred) {
		t.Errorf("from the list: %+v", a)
	}
	if a, _ := x.countFrame(ingress, plainFrame(macA, macB), nil); a != none {
		t.Errorf("from another: %+v", a)
	}
	if a, _ := x.countFrame(egress, plainFrame(macB, macA), nil); a != transmitExternal(specs.Casts{Unicast: hundred}) {
		t.Errorf("to another: %+v", a)
	}
	must(t, x.maps.Unregister(e))
	m, err := x.maps.openMap(mapSources)
	must(t, err)
	if err := m.Lookup(sourceKey{Slot: slotA, MAC: macLAN}, new(uint8)); err == nil {
		t.Error("its list is still there after its end")
	}
}
