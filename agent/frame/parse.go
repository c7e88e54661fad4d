package frame

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"berth/specs"
)

// EtherTypes (IEEE 802 numbers, as in include/uapi/linux/if_ether.h).
const (
	typeIPv4 = 0x0800
	typeARP  = 0x0806
	typeVLAN = 0x8100 // 802.1Q
	typeQinQ = 0x88a8 // 802.1ad
	typeIPv6 = 0x86dd
	maxLLC   = 0x05dc // up to this value the field is a length (IEEE 802.3, 3.2.6)
)

// maxTags bounds the VLAN tags that Parse strips.
const maxTags = 4

// Parse summarises a frame from its first bytes. length is the length of the whole frame in
// bytes, Ethernet header included. The summary keeps a copy of data.
func Parse(data []byte, length uint32) specs.Frame {
	f := specs.Frame{Length: length, Bytes: append([]byte{}, data...)}
	if len(data) < 14 {
		return f
	}
	f.Destination = net.HardwareAddr(data[:6]).String()
	f.Source = specs.FrameMAC(data[6:12])
	etherType, payload := binary.BigEndian.Uint16(data[12:]), data[14:]
	for range maxTags {
		if etherType != typeVLAN && etherType != typeQinQ || len(payload) < 4 {
			break
		}
		etherType, payload = binary.BigEndian.Uint16(payload[2:]), payload[4:]
	}
	f.EtherType = fmt.Sprintf("0x%04x", etherType)
	switch {
	case etherType == typeARP:
		parseARP(&f, payload)
	case etherType == typeIPv4:
		parseIPv4(&f, payload)
	case etherType == typeIPv6:
		parseIPv6(&f, payload)
	case etherType <= maxLLC:
		f.Protocol = "llc"
	}
	return f
}

// parseARP parses an Ethernet and IPv4 packet of RFC 826.
func parseARP(f *specs.Frame, p []byte) {
	f.Protocol = "arp"
	if len(p) < 28 || binary.BigEndian.Uint16(p[2:]) != typeIPv4 || p[4] != 6 || p[5] != 4 {
		return
	}
	f.SourceIP = netip.AddrFrom4([4]byte(p[14:18]))
	f.DestinationIP = netip.AddrFrom4([4]byte(p[24:28]))
}

// parseIPv4 parses a header of RFC 791, section 3.1.
func parseIPv4(f *specs.Frame, p []byte) {
	if len(p) < 20 || p[0]>>4 != 4 {
		return
	}
	f.SourceIP = netip.AddrFrom4([4]byte(p[12:16]))
	f.DestinationIP = netip.AddrFrom4([4]byte(p[16:20]))
	header := int(p[0]&0xf) * 4
	first := binary.BigEndian.Uint16(p[6:])&0x1fff == 0 // fragment offset
	if header < 20 || header > len(p) || !first {
		f.Protocol = protocolName(p[9])
		return
	}
	parseTransport(f, p[9], p[header:])
}

// maxExtensions bounds the IPv6 extension headers that are walked.
const maxExtensions = 6

// parseIPv6 parses a header of RFC 8200, section 3, and the extension headers before the
// payload.
func parseIPv6(f *specs.Frame, p []byte) {
	if len(p) < 40 || p[0]>>4 != 6 {
		return
	}
	f.SourceIP = netip.AddrFrom16([16]byte(p[8:24]))
	f.DestinationIP = netip.AddrFrom16([16]byte(p[24:40]))
	next, rest := p[6], p[40:]
	for range maxExtensions {
		length, first := extensionLength(next, rest)
		if length == 0 {
			break
		}
		next, rest = rest[0], rest[length:]
		if !first {
			f.Protocol = protocolName(next)
			return
		}
	}
	parseTransport(f, next, rest)
}

// extensionLength returns the length in bytes of the extension header at the start of p, or 0 if
// there is none or it is cut off, and whether the rest is the first fragment (RFC 8200,
// sections 4.3 to 4.6).
func extensionLength(header uint8, p []byte) (length int, first bool) {
	if len(p) < 8 {
		return 0, true
	}
	switch header {
	case 0, 43, 60: // hop-by-hop, routing, destination options
		length = 8 + int(p[1])*8
	case 44: // fragment
		return 8, binary.BigEndian.Uint16(p[2:])>>3 == 0
	}
	if length > len(p) {
		return 0, true
	}
	return length, true
}

func parseTransport(f *specs.Frame, protocol uint8, p []byte) {
	f.Protocol = protocolName(protocol)
	switch protocol {
	case 6, 17, 132: // TCP, UDP and SCTP have their ports at the same offset
		if len(p) >= 4 {
			f.SourcePort = binary.BigEndian.Uint16(p)
			f.DestinationPort = binary.BigEndian.Uint16(p[2:])
		}
	}
}

// protocolName returns the name of an IANA protocol number if it is better known than the
// number.
func protocolName(n uint8) string {
	switch n {
	case 1:
		return "icmp"
	case 2:
		return "igmp"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 58:
		return "icmpv6"
	case 132:
		return "sctp"
	}
	return fmt.Sprintf("ip-%d", n)
}
