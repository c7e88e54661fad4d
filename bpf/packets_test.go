package bpf

import (
	"encoding/binary"
	"net/netip"

	"berth/specs"
)

// The endpoints of the frame tests, on interface 1.
var (
	macA     = specs.MAC{2, 0, 0x5e, 0, 0x53, 0xa}
	macB     = specs.MAC{2, 0, 0x5e, 0, 0x53, 0xb}
	macHost  = specs.MAC{2, 0, 0x5e, 0, 0x53, 1}
	macLAN   = specs.MAC{2, 0, 0x5e, 0, 0x53, 2}
	macGroup = specs.MAC{0x33, 0x33, 0, 0, 0, 1}
	macAll   = specs.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)

// ethernet adds an Ethernet header to a payload.
func ethernet(to, from specs.MAC, ethertype uint16, payload []byte) []byte {
	frame := append(to[:], from[:]...)
	return append(binary.BigEndian.AppendUint16(frame, ethertype), payload...)
}

// ip4 returns an IPv4 header and payload, without checksum.
func ip4(proto byte, from, to netip.Addr, payload []byte) []byte {
	p := make([]byte, 20)
	p[0], p[8], p[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(p[2:], uint16(20+len(payload)))
	copy(p[12:], from.AsSlice())
	copy(p[16:], to.AsSlice())
	return append(p, payload...)
}

// ip6 returns an IPv6 header and payload.
func ip6(next byte, from, to netip.Addr, payload []byte) []byte {
	p := make([]byte, 40)
	p[0], p[6], p[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(p[4:], uint16(len(payload)))
	copy(p[8:], from.AsSlice())
	copy(p[24:], to.AsSlice())
	return append(p, payload...)
}

// tcp returns a TCP header with a number of bytes of options, and a payload.
func tcp(options int, payload int) []byte {
	p := make([]byte, 20+options+payload)
	p[12] = byte((20 + options) / 4 << 4)
	return p
}

var (
	ipA     = netip.MustParseAddr("192.0.2.10")
	ipGroup = netip.MustParseAddr("233.252.0.1")
	ipB     = netip.MustParseAddr("192.0.2.11")
	ipLAN   = netip.MustParseAddr("192.0.2.2")
	ip6A    = netip.MustParseAddr("2001:db8::a")
	ip6B    = netip.MustParseAddr("2001:db8::b")
)
