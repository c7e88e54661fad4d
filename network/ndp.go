package network

import (
	"encoding/binary"
	"net/netip"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// Sizes and numbers of Neighbor Discovery (RFC 4861 sections 4.3, 4.4, 4.6.1).
const (
	ipv6Header         = 40
	ndLength           = 24 // of a solicitation or advertisement without options
	ndSolicitation     = 135
	ndAdvertisement    = 136
	ndHopLimit         = 255 // a packet that a router forwarded has a lower one
	ndOverride         = 0x20
	ndTargetLinkOption = 2
)

var allNodes = netip.MustParseAddr("ff02::1")

// ndProbe returns the solicitation of duplicate address detection: from the
// unspecified address to the solicited-node group, without a source link-layer
// address (RFC 4862 section 5.4.2).
func ndProbe(mac specs.MAC, a netip.Addr) []byte {
	body := append([]byte{ndSolicitation, 0, 0, 0, 0, 0, 0, 0}, a.AsSlice()...)
	return ndFrame(mac, netip.IPv6Unspecified(), solicitedNode(a), body)
}

// ndAnnouncement returns an unsolicited advertisement to all nodes, which
// overrides their cached entries (RFC 4861 section 7.2.6).
func ndAnnouncement(mac specs.MAC, a netip.Addr) []byte {
	body := append([]byte{ndAdvertisement, 0, 0, 0, ndOverride, 0, 0, 0}, a.AsSlice()...)
	body = append(append(body, ndTargetLinkOption, 1), mac[:]...)
	return ndFrame(mac, a, allNodes, body)
}

// ndFrame returns an Ethernet frame to a group, with an ICMPv6 message in IPv6.
func ndFrame(mac specs.MAC, from, to netip.Addr, body []byte) []byte {
	f := ethernetFrame(groupMAC(to), mac, unix.ETH_P_IPV6)
	f = append(f, 0x60, 0, 0, 0) // version 6, no traffic class, no flow label
	f = binary.BigEndian.AppendUint16(f, uint16(len(body)))
	f = append(f, unix.IPPROTO_ICMPV6, ndHopLimit)
	f = append(f, from.AsSlice()...)
	f = append(f, to.AsSlice()...)
	f = append(f, body...)
	ip := f[ethernetHeader:]
	binary.BigEndian.PutUint16(ip[ipv6Header+2:], icmpChecksum(ip))
	return f
}

// solicitedNode returns the group of an address: ff02::1:ff00:0/104 with its
// last 24 bits (RFC 4291 section 2.7.1).
func solicitedNode(a netip.Addr) netip.Addr {
	last := a.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: last[13], 14: last[14], 15: last[15]})
}

// groupMAC returns the MAC of an IPv6 group (RFC 2464 section 7).
func groupMAC(group netip.Addr) specs.MAC {
	g := group.As16()
	return specs.MAC{0x33, 0x33, g[12], g[13], g[14], g[15]}
}

// icmpChecksum returns the checksum that makes an IPv6 packet correct, or 0 if
// its checksum is already correct (RFC 8200 section 8.1, RFC 4443 section 2.3).
func icmpChecksum(ip []byte) uint16 {
	sum := uint32(len(ip)-ipv6Header) + unix.IPPROTO_ICMPV6
	for b := ip[8:]; len(b) > 0; b = b[min(2, len(b)):] { // the checksum covers both addresses and the message
		sum += uint32(b[0]) << 8
		if len(b) > 1 {
			sum += uint32(b[1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// ndClaim returns the address that the sender of an IPv6 packet has or is about
// to take, and its MAC: from an advertisement, or from a solicitation that probes
// for it (RFC 4862 sections 5.4.3 and 5.4.4). It ignores packets that a receiver
// must drop by RFC 4861 section 7.1.
func ndClaim(ip []byte, from specs.MAC) (a netip.Addr, mac specs.MAC, ok bool) {
	if len(ip) < ipv6Header+ndLength || ip[0]>>4 != 6 || ip[6] != unix.IPPROTO_ICMPV6 || ip[7] != ndHopLimit {
		return a, mac, false
	}
	length := ipv6Header + int(binary.BigEndian.Uint16(ip[4:]))
	if length < ipv6Header+ndLength || length > len(ip) || icmpChecksum(ip[:length]) != 0 {
		return a, mac, false
	}
	source := netip.AddrFrom16([16]byte(ip[8:]))
	message := ip[ipv6Header:length]
	a = netip.AddrFrom16([16]byte(message[8:]))
	switch {
	case message[1] != 0 || a.IsMulticast():
		return a, mac, false
	case message[0] == ndSolicitation:
		return a, from, source.IsUnspecified()
	case message[0] == ndAdvertisement:
		return a, targetMAC(message[ndLength:], from), true
	}
	return a, mac, false
}

// targetMAC returns the target link-layer address of an advertisement's options,
// or the frame's source if there is none.
func targetMAC(options []byte, from specs.MAC) specs.MAC {
	for len(options) >= 8 && options[1] > 0 { // lengths are in units of 8 bytes
		if options[0] == ndTargetLinkOption && options[1] == 1 {
			return macOf(options[2:8])
		}
		options = options[min(len(options), int(options[1])*8):]
	}
	return from
}
