package bpf

import (
	"encoding/binary"
	"slices"
	"testing"

	"berth/specs"
)

// padFrame pads a frame to Ethernet's minimum.
func padFrame(frame []byte) []byte {
	return append(frame, slices.Repeat([]byte{0xee}, 60-len(frame))...)
}

// arp returns a packet of 28 bytes of which only the sender's address matters here.
func arp(sender []byte) []byte {
	p := make([]byte, 28)
	copy(p[14:], sender)
	return p
}

// tagFrame inserts an 802.1Q tag into a frame.
func tagFrame(vlan uint16, frame []byte) []byte {
	tag := binary.BigEndian.AppendUint16([]byte{0x81, 0}, vlan)
	return slices.Concat(frame[:12], tag, frame[12:])
}

// TestCountedBytes checks the bytes counted for a frame: from the Ethernet header to the end of
// the payload, for each segment.
func TestCountedBytes(t *testing.T) {
	t.Parallel()
	x := newBench(t, specs.ModeBridge, "")
	x.mustRegister(Endpoint{Slot: slotB, VLAN: 7, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie})
	udp := func(n int) []byte { return ip4(17, ipA, ipLAN, make([]byte, n)) }
	hopByHop := append([]byte{6, 0, 1, 4, 0, 0, 0, 0}, tcp(12, 3000)...)
	tests := []struct {
		name       string
		ethertype  uint16
		payload    []byte
		pad        bool
		segs, size uint32
		want       specs.Count
	}{
		{"IPv4, padding", 0x800, udp(18), true, 0, 0, countOf(1, 52)},
		{"IPv4, no padding", 0x800, udp(26), false, 0, 0, countOf(1, 60)},
		{"IPv4, more behind it than padding can be", 0x800, append(udp(18), make([]byte, 20)...), false, 0, 0, countOf(1, 72)},
		{"IPv6, padding", 0x86dd, ip6(59, ip6A, ip6B, make([]byte, 2)), true, 0, 0, countOf(1, 56)},
		{"ARP, padding", 0x806, arp(ipA.AsSlice()), true, 0, 0, countOf(1, 42)},
		{"ARP, no padding", 0x806, arp(ipA.AsSlice()), false, 0, 0, countOf(1, 42)},
		{"802.3, padding", 30, make([]byte, 30), true, 0, 0, countOf(1, 44)},
		{"unknown, 60 bytes", 0x88b5, make([]byte, 20), true, 0, 0, countOf(1, 60)},
		{"TCP, three segments", 0x800, ip4(6, ipA, ipLAN, tcp(12, 2500)), false, 3, 1000, countOf(3, 3*66+2500)},
		{"TCP, to be computed", 0x800, ip4(6, ipA, ipLAN, tcp(12, 2500)), false, 0, 1000, countOf(3, 3*66+2500)},
		{"TCP, to be computed, no rest", 0x800, ip4(6, ipA, ipLAN, tcp(0, 2000)), false, 0, 1000, countOf(2, 2*54+2000)},
		{"TCP, one segment", 0x800, ip4(6, ipA, ipLAN, tcp(12, 500)), false, 1, 1000, countOf(1, 566)},
		{"TCP over IPv6", 0x86dd, ip6(6, ip6A, ip6B, tcp(12, 3000)), false, 3, 1000, countOf(3, 3*86+3000)},
		{"TCP over IPv6 with an extension", 0x86dd, ip6(0, ip6A, ip6B, hopByHop), false, 3, 1000, countOf(3, 3*94+3000)},
		{"UDP", 0x800, udp(8 + 3000), false, 3, 1000, countOf(3, 3*42+3000)},
		{"SCTP", 0x800, ip4(132, ipA, ipLAN, make([]byte, 12+3000)), false, 3, 1000, countOf(3, 3*46+3000)},
	}
	for _, tt := range tests {
		for _, vlan := range []bool{false, true} {
			mac := macA
			if vlan {
				mac = macB
			}
			frame := ethernet(macLAN, mac, tt.ethertype, tt.payload)
			if tt.pad {
				frame = padFrame(frame)
			}
			if vlan {
				frame = tagFrame(7, frame)
			}
			a, b := x.countFrame(egress, frame, &skb{GSOSegs: tt.segs, GSOSize: tt.size})
			if got := a.Plus(b).Transmit.External.Unicast; got != tt.want {
				t.Errorf("%s, tagged %t: %+v, want %+v", tt.name, vlan, got, tt.want)
			}
		}
	}
}
