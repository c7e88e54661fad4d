package exchange

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"berth/dhcp"
	"berth/specs"
)

// Ports of DHCP (RFC 2131 section 4.1, RFC 8415 section 7.2) and sizes of headers.
const (
	clientPort4, serverPort4 = 68, 67
	clientPort6, serverPort6 = 546, 547

	ethernetHeader = 14
	ipv4Header     = 20
	ipv6Header     = 40
	udpHeader      = 8

	routerAdvertisement = 134 // RFC 4861 section 4.2
)

var (
	broadcastMAC = specs.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	serversMAC   = specs.MAC{0x33, 0x33, 0, 1, 0, 2} // of ff02::1:2 (RFC 2464 section 7)
)

// frameOf returns the Ethernet frame of a message.
func frameOf(from specs.MAC, a dhcp.Action) []byte {
	to, kind := a.MAC, uint16(unix.ETH_P_IP)
	if a.To.Is6() {
		kind = unix.ETH_P_IPV6
	}
	if to.IsZero() && a.To.Is4() {
		to = broadcastMAC
	} else if to.IsZero() {
		to = serversMAC
	}
	f := append(append([]byte(nil), to[:]...), from[:]...)
	f = binary.BigEndian.AppendUint16(f, kind)
	if a.To.Is6() {
		return append(f, packet6(a)...)
	}
	return append(f, packet4(a)...)
}

// packet4 returns an IPv4 packet (RFC 791 section 3.1).
func packet4(a dhcp.Action) []byte {
	p := make([]byte, ipv4Header, ipv4Header+udpHeader+len(a.Payload))
	p[0] = 4<<4 | ipv4Header/4
	binary.BigEndian.PutUint16(p[2:], uint16(ipv4Header+udpHeader+len(a.Payload)))
	p[8], p[9] = 64, unix.IPPROTO_UDP // time to live, protocol
	copy(p[12:], a.From.AsSlice())
	copy(p[16:], a.To.AsSlice())
	binary.BigEndian.PutUint16(p[10:], ^fold(sum(p)))
	return append(p, datagram(a, clientPort4, serverPort4)...)
}

// packet6 returns an IPv6 packet (RFC 8200 section 3).
func packet6(a dhcp.Action) []byte {
	p := make([]byte, ipv6Header, ipv6Header+udpHeader+len(a.Payload))
	p[0] = 6 << 4
	binary.BigEndian.PutUint16(p[4:], uint16(udpHeader+len(a.Payload)))
	p[6], p[7] = unix.IPPROTO_UDP, 64 // next header, hop limit
	copy(p[8:], a.From.AsSlice())
	copy(p[24:], a.To.AsSlice())
	return append(p, datagram(a, clientPort6, serverPort6)...)
}

// datagram returns a UDP datagram with its checksum over the pseudo header (RFC 768,
// RFC 8200 section 8.1).
func datagram(a dhcp.Action, from, to uint16) []byte {
	d := make([]byte, udpHeader, udpHeader+len(a.Payload))
	length := uint16(udpHeader + len(a.Payload))
	binary.BigEndian.PutUint16(d, from)
	binary.BigEndian.PutUint16(d[2:], to)
	binary.BigEndian.PutUint16(d[4:], length)
	d = append(d, a.Payload...)
	check := ^fold(sum(a.From.AsSlice()) + sum(a.To.AsSlice()) + unix.IPPROTO_UDP + uint32(length) + sum(d))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(d[6:], check)
	return d
}

// sum adds 16-bit words; at most 64 KiB, so that it does not overflow.
func sum(b []byte) (s uint32) {
	for ; len(b) > 1; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	return s
}

func fold(s uint32) uint16 {
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// packetOf returns the message of a received frame, or ok = false if it is none. It
// does not verify the checksum of UDP: a sender on the same host leaves it to a
// network card that the frame never reaches.
func packetOf(frame []byte) (p dhcp.Packet, ok bool) {
	if len(frame) < ethernetHeader {
		return p, false
	}
	copy(p.MAC[:], frame[6:])
	switch binary.BigEndian.Uint16(frame[12:]) {
	case unix.ETH_P_IP:
		return inIPv4(p, frame[ethernetHeader:])
	case unix.ETH_P_IPV6:
		return inIPv6(p, frame[ethernetHeader:])
	}
	return p, false
}

func inIPv4(p dhcp.Packet, b []byte) (dhcp.Packet, bool) {
	if len(b) < ipv4Header || b[0]>>4 != 4 || b[9] != unix.IPPROTO_UDP {
		return p, false
	}
	header, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
	fragmented := binary.BigEndian.Uint16(b[6:])&0x3fff != 0
	if header < ipv4Header || total < header || total > len(b) || fragmented || fold(sum(b[:header])) != 0xffff {
		return p, false
	}
	p.From = netip.AddrFrom4([4]byte(b[12:]))
	return inUDP(p, b[header:total], serverPort4, clientPort4)
}

func inIPv6(p dhcp.Packet, b []byte) (dhcp.Packet, bool) {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return p, false
	}
	end := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if end > len(b) {
		return p, false
	}
	p.From = netip.AddrFrom16([16]byte(b[8:]))
	body := b[ipv6Header:end]
	if b[6] == unix.IPPROTO_UDP {
		return inUDP(p, body, serverPort6, clientPort6)
	}
	// RFC 4861 section 6.1.2: a valid advertisement is from this link.
	const size, managed, other = 16, 0x80, 0x40
	if b[6] != unix.IPPROTO_ICMPV6 || len(body) < size || body[0] != routerAdvertisement || b[7] != 255 ||
		!p.From.IsLinkLocalUnicast() {
		return p, false
	}
	p.Router, p.Managed, p.Other = true, body[5]&managed != 0, body[5]&other != 0
	return p, true
}

func inUDP(p dhcp.Packet, b []byte, from, to uint16) (dhcp.Packet, bool) {
	if len(b) < udpHeader {
		return p, false
	}
	// A relay may use another source port (RFC 8357), so from is not required.
	length := int(binary.BigEndian.Uint16(b[4:]))
	if binary.BigEndian.Uint16(b[2:]) != to || length < udpHeader || length > len(b) {
		return p, false
	}
	p.Payload = b[udpHeader:length]
	return p, true
}

// filter4 passes unfragmented UDP to the client's port. Offsets are from the
// Ethernet header.
var filter4 = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetHeader + 9},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 6},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: ethernetHeader + 6},
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x1fff, Jt: 4},
	{Code: unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH, K: ethernetHeader},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_IND, K: ethernetHeader + 2},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: clientPort4, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// filter6 passes UDP to the client's port, and router advertisements.
var filter6 = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetHeader + 6},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 2},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetHeader + ipv6Header},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: routerAdvertisement, Jt: 3, Jf: 4},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_UDP, Jf: 3},
	{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: ethernetHeader + ipv6Header + 2},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: clientPort6, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}
