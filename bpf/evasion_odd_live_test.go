package bpf

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"
)

// inOptions returns a datagram in the options of an IPv4 header, which another one follows. A client
// that reads all frames may take the first one, because it expects no options (systemd-networkd).
func inOptions(words int, from, to uint16, text string) []byte {
	inner := datagram(from, to, []byte(text))
	ip := withChecksum4(ip4(17, ipA, ipLAN, inner))
	ip[0] += byte(words)
	return ethernet(macLAN, macA, 0x800, withChecksum4(ip))
}

// oddFrames has frames of A that other receivers than Linux's own IP accept, and the kind of each.
var oddFrames = map[string]struct {
	frame []byte
	kind  specs.Kind
}{
	"LLC, IPv4":                      {asLLC(0xaa, 0xaa, 3, 0, 0, 0xf8)(udp4(ipB, 9))[0], specs.IPSpoof},
	"LLC, its own":                   {asLLC(0xaa, 0xaa, 3, 0, 0, 0xf8)(udp4(ipA, 9))[0], ""},
	"LLC, ARP":                       {asLLC(0xaa, 0xaa, 3, 0, 0, 0xf8)(arpOf(ipB, ipLAN))[0], specs.IPSpoof},
	"LLC, a router":                  {asLLC(0x42, 0x42, 3, 1, 2, 3)(icmp6(ip6Link, 134, ip6Zero))[0], specs.RogueRA},
	"LLC, a DHCP server":             {asLLC(0, 0, 0, 0, 0, 0)(udp4(ipA, 67))[0], specs.RogueDHCP},
	"LLC, a bridge":                  {ethernet(macLAN, macA, 38, append([]byte{0x42, 0x42, 3, 0, 0, 0, 0, 0}, make([]byte, 40)...)), ""},
	"LLC with a tag":                 {asLLC(0xaa, 0xaa, 3, 0, 0, 0)(tagFrame(0, udp4(ipB, 9)))[0], specs.IPSpoof},
	"ARP, cut in the sender":         {arpOf(ipB, ipLAN)[:14+17], specs.IPSpoof},
	"ARP, cut in the target":         {arpOf(ipA, ipLAN)[:14+27], specs.IPSpoof},
	"DHCP in one word of options":    {inOptions(1, 1067, 68, bootCookie), specs.RogueDHCP},
	"DHCP in ten words of options":   {inOptions(10, 1067, 68, bootCookie), specs.RogueDHCP},
	"a request in options":           {inOptions(2, 1067, 68, "\x01"+bootCookie[1:]), specs.RogueDHCP},
	"a datagram in options":          {inOptions(2, 9, 9, bootCookie), ""},
	"no message in options":          {inOptions(2, 9, 68, bootReply+bootCookie), ""},
	"TCP in options":                 {withByte(inOptions(2, 1067, 68, bootCookie), 14+9, 6), ""},
	"DHCPv4 over DHCPv6":             {withByte(udp6(ip6A, 1547), 62, 21), specs.RogueDHCP},
	"a query of DHCPv4 over DHCPv6":  {withByte(udp6(ip6A, 1547), 62, 20), ""},
	"a later fragment with options":  {withByte(inOptions(1, 1067, 68, bootCookie), 21, 1), specs.RogueDHCP},
	"a later fragment of a datagram": {withByte(inOptions(1, 1067, 9, bootCookie), 21, 1), ""},
}

// TestOddFrames checks frames that other receivers than Linux's own IP accept: machines on Wi-Fi, boot
// loaders, DHCP clients that read all frames, and any machine behind a card that fills short
// frames with zeros.
func TestOddFrames(t *testing.T) {
	t.Parallel()
	x, a := sourceBench(t)
	for _, enforce := range [][]specs.Kind{nil, {specs.IPSpoof, specs.RogueDHCP, specs.RogueRA}} {
		a.Enforce = enforce
		x.mustRegister(a)
		for name, c := range oddFrames {
			j := x.judgeFrame(egress, slices.Clone(c.frame))
			if !j.onlyViolation(slotA, c.kind) || j.drop != (enforce != nil && c.kind != "") {
				t.Errorf("%s, enforce %v: %+v, want %q", name, enforce, j, c.kind)
			}
		}
	}
}

// TestCutFrames sends frames that end before the end of their headers, with forged MACs. A card fills them
// with zeros, and a switch learns the MAC.
func TestCutFrames(t *testing.T) {
	t.Parallel()
	eachNaming(t, func(t *testing.T, c constants) {
		x := spoofBench(t, c)
		b := Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie, Enforce: []specs.Kind{specs.MACSpoof}}
		x.mustRegister(b)

		for name, mac := range map[string]specs.MAC{"nobody's": macGroup, "A's": macA, "the host's": macHost} {
			for _, length := range []int{14, 15, 17} {
				frame := ethernet(macLAN, mac, 0x8100, make([]byte, 4))[:length]
				if j := x.judgeFrame(egress, frame); !j.drop || j.found[slotB][specs.MACSpoof].Dropped != 1 {
					t.Errorf("%s MAC, %d bytes: %+v, want mac-spoof", name, length, j)
				}
			}
		}
	})
}

// TestShortFrames sends frames by AF_XDP that end within the Ethernet header, with forged MACs.
func TestShortFrames(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	host := newQuietNamespace(t)
	tap := testnet.Tap(t, host, "eth0")
	l := labOn(t, host, "eth0", Options{})
	a := l.container(specs.ModeBridge)
	a.Enforce = []specs.Kind{specs.MACSpoof}
	must(t, l.maps.Register(a.Endpoint))
	var socket *xdpSocket
	testnet.In(t, a.NS, func() { socket = newXDPSocket(t, testnet.Link(t, a.NS, "net1").Attrs().Index) })
	own := datagram4(a.ip, 9, 9, ownText)(a.MAC, &receiver{mac: macLAN, ip: ipLAN})
	for _, length := range []int{11, 12, 13, 14} {
		must(t, l.maps.Zero(a.Slot))
		_ = socket.sendFrame(plainFrame(macLAN, macB)[:length]) // it is dropped
		must(t, socket.sendFrame(own))
		if got := tap.Read(10*time.Second, func([]byte) bool { return true }); !bytes.Equal(got, own) {
			t.Errorf("%d bytes leave the host: %x", length, got)
		}
		if found := l.allViolations()[a.Slot]; found[specs.MACSpoof] != (specs.Broken{Packets: 1, Dropped: 1}) {
			t.Errorf("%d bytes: %v, want mac-spoof", length, found)
		}
	}
}
