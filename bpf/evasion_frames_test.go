package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"

	"berth/specs"
)

// carrier changes the encapsulation of a frame's payload; the result may be several frames.
type carrier func(frame []byte) [][]byte

// identifications is the number of fragmented datagrams. Each has its own identification:
// a receiver may still hold a fragment of an earlier one, whose first one was dropped.
var identifications atomic.Uint32

func newIdentification() uint16 { return uint16(identifications.Add(1)) }

func unchangedFrame(frame []byte) [][]byte { return [][]byte{frame} }

// vlanTags inserts tags of a protocol after the addresses, the first one outermost.
func vlanTags(protocol uint16, vlans ...uint16) carrier {
	return func(frame []byte) [][]byte {
		for _, id := range slices.Backward(vlans) {
			tag := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, protocol), id)
			frame = slices.Concat(frame[:12], tag, frame[12:])
		}
		return [][]byte{frame}
	}
}

// asSNAP converts a frame to IEEE 802.3 with LLC and SNAP (RFC 1042).
var asSNAP = asLLC(0xaa, 0xaa, 3, 0, 0, 0)

// asLLC converts a frame to IEEE 802.3 with a protocol behind any header of LLC. U-Boot reads no other
// byte of that header. Linux takes such frames from Wi-Fi if the organisation is 00-00-f8 (IEEE 802.1H).
func asLLC(header ...byte) carrier {
	return func(frame []byte) [][]byte {
		length := binary.BigEndian.AppendUint16(nil, uint16(len(frame)-12+6))
		return [][]byte{slices.Concat(frame[:12], length, header, frame[12:])}
	}
}

// withTrailer appends zeros, which no IP header includes.
func withTrailer(frame []byte) [][]byte { return [][]byte{append(frame, make([]byte, 200)...)} }

// withOptions4 adds words of no-op options to an IPv4 header.
func withOptions4(words int) carrier {
	return func(frame []byte) [][]byte {
		ip := slices.Concat(frame[14:34], slices.Repeat([]byte{1}, 4*words), frame[34:])
		ip[0] += byte(words)
		binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
		return [][]byte{append(frame[:14:14], withChecksum4(ip)...)}
	}
}

// fragments4 splits an IPv4 payload after its first bytes, a multiple of 8. The first
// fragment has extra bytes behind these: receivers cut it to a multiple of 8.
func fragments4(first int, extra ...byte) carrier {
	return func(frame []byte) [][]byte {
		identification := newIdentification()
		part := func(from, to int, field uint16, extra ...byte) []byte {
			ip := slices.Concat(frame[14:34], frame[34+from:34+to], extra)
			binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
			binary.BigEndian.PutUint16(ip[4:], identification)
			binary.BigEndian.PutUint16(ip[6:], field)
			return append(frame[:14:14], withChecksum4(ip)...)
		}
		return [][]byte{part(0, first, 0x2000, extra...), part(first, len(frame)-34, uint16(first/8))}
	}
}

// withExtensions6 inserts IPv6 extension headers before the payload, given by their numbers, the
// first one outermost; each has no effect.
func withExtensions6(numbers ...byte) carrier {
	return func(frame []byte) [][]byte {
		next, payload := frame[20], slices.Clone(frame[54:])
		for _, number := range slices.Backward(numbers) {
			header := []byte{next, 0, 1, 4, 0, 0, 0, 0} // PadN
			switch number {
			case 43:
				header = []byte{next, 0, 0, 0, 0, 0, 0, 0} // no segments left
			case 44:
				header = binary.BigEndian.AppendUint32([]byte{next, 0, 0, 0}, uint32(newIdentification()))
			case 51:
				header = append([]byte{next, 4, 0, 0}, make([]byte, 20)...)
			}
			payload, next = append(header, payload...), number
		}
		ip := slices.Concat(frame[14:54], payload)
		ip[6] = next
		binary.BigEndian.PutUint16(ip[4:], uint16(len(payload)))
		return [][]byte{append(frame[:14:14], ip...)}
	}
}

// fragments6 splits an IPv6 payload after its first bytes, a multiple of 8.
func fragments6(first int) carrier {
	return func(frame []byte) [][]byte {
		payload := frame[54:]
		identification := uint32(newIdentification())
		part := func(from, to int, field uint16) []byte {
			header := binary.BigEndian.AppendUint16([]byte{frame[20], 0}, field)
			header = binary.BigEndian.AppendUint32(header, identification)
			ip := slices.Concat(frame[14:54], header, payload[from:to])
			ip[6] = 44
			binary.BigEndian.PutUint16(ip[4:], uint16(len(ip)-40))
			return append(frame[:14:14], ip...)
		}
		return [][]byte{part(0, first, 1), part(first, len(payload), uint16(first))}
	}
}

// carrierBoth applies one carrier to another's result.
func carrierBoth(inner, outer carrier) carrier {
	return func(frame []byte) (all [][]byte) {
		for _, f := range inner(frame) {
			all = append(all, outer(f)...)
		}
		return all
	}
}

// lastFirst reverses the order of another carrier's frames.
func lastFirst(c carrier) carrier {
	return func(frame []byte) [][]byte {
		all := c(frame)
		slices.Reverse(all)
		return all
	}
}

// carriers are the carriers of any frame.
var carriers = map[string]carrier{
	"as it is":               unchangedFrame,
	"VLAN 0":                 vlanTags(0x8100, 0),
	"VLAN 0 with a priority": vlanTags(0x8100, 5<<13),
	"VLAN 0 of 802.1ad":      vlanTags(0x88a8, 0),
	"VLAN 0 twice":           vlanTags(0x8100, 0, 0),
	"VLAN 0 of both kinds":   carrierBoth(vlanTags(0x8100, 0), vlanTags(0x88a8, 0)),
	"VLAN 0 of both, thrice": carrierBoth(vlanTags(0x8100, 0), vlanTags(0x88a8, 0x1000, 0)),
	"VLAN 0 three times":     vlanTags(0x8100, 0, 0, 0),
	"VLAN 0 eight times":     vlanTags(0x8100, make([]uint16, 8)...),
	"VLAN 0 nine times":      vlanTags(0x8100, make([]uint16, 9)...),
	"VLAN 0 thirty times":    vlanTags(0x8100, make([]uint16, 30)...),
	"VLAN 7":                 vlanTags(0x8100, 7),
	"VLAN 7 in VLAN 0":       vlanTags(0x8100, 0, 7),
	"VLAN 0 in VLAN 7":       vlanTags(0x8100, 7, 0),
	"LLC and SNAP":           asSNAP,
	"LLC and SNAP in VLAN 0": carrierBoth(asSNAP, vlanTags(0x8100, 0)),
	"bytes behind its end":   withTrailer,
}

// carriers4 are the carriers of IPv4 frames.
var carriers4 = map[string]carrier{
	"an option":              withOptions4(1),
	"all options":            withOptions4(10),
	"fragments":              fragments4(8),
	"fragments, last first":  lastFirst(fragments4(8)),
	"a first fragment of 9":  fragments4(8, 1),
	"bytes behind fragments": carrierBoth(fragments4(8), withTrailer),
	"fragments with VLAN 0":  carrierBoth(fragments4(16), vlanTags(0x8100, 0, 0)),
	"options with VLAN 0":    carrierBoth(withOptions4(3), vlanTags(0x8100, 0)),
}

// carriers6 are the carriers of IPv6 frames.
var carriers6 = map[string]carrier{
	"hop-by-hop":               withExtensions6(0),
	"destination options":      withExtensions6(60),
	"routing":                  withExtensions6(43),
	"fragment, the only one":   withExtensions6(44),
	"authentication":           withExtensions6(51),
	"all of them":              withExtensions6(0, 60, 43, 44, 60),
	"eight headers":            withExtensions6(slices.Repeat([]byte{60}, 8)...),
	"nine headers":             withExtensions6(slices.Repeat([]byte{60}, 9)...),
	"thirty headers":           withExtensions6(slices.Repeat([]byte{60}, 30)...),
	"fragments":                fragments6(8),
	"fragments, last first":    lastFirst(fragments6(8)),
	"bytes behind fragments":   carrierBoth(fragments6(8), withTrailer),
	"header in the first only": carrierBoth(withExtensions6(60), fragments6(8)),
	"fragments behind headers": carrierBoth(fragments6(8), withExtensions6(60, 60)),
	"VLAN 0 and hop-by-hop":    carrierBoth(withExtensions6(0), vlanTags(0x8100, 0)),
}

// checksum returns the Internet checksum (RFC 1071).
func checksum(parts ...[]byte) uint16 {
	var s uint32
	for i, b := range slices.Concat(parts...) {
		s += uint32(b) << (8 - 8*(i%2))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// withChecksum4 sets the checksum of an IPv4 header.
func withChecksum4(ip []byte) []byte {
	binary.BigEndian.PutUint16(ip[10:], 0)
	binary.BigEndian.PutUint16(ip[10:], checksum(ip[:4*(ip[0]&15)]))
	return ip
}

// withChecksum6 sets the checksum of UDP or ICMPv6 in an IPv6 packet.
func withChecksum6(ip []byte) []byte {
	at := map[byte]int{17: 46, 58: 42}[ip[6]]
	pseudo := binary.BigEndian.AppendUint32(slices.Clone(ip[8:40]), uint32(len(ip)-40))
	binary.BigEndian.PutUint16(ip[at:], checksum(pseudo, []byte{0, 0, 0, ip[6]}, ip[40:]))
	return ip
}

// datagram returns a UDP datagram without checksum.
func datagram(from, to uint16, payload []byte) []byte {
	p := binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(nil, from), to)
	p = binary.BigEndian.AppendUint16(p, uint16(8+len(payload)))
	return append(append(p, 0, 0), payload...)
}

// message6 returns an ICMPv6 message in IPv6, as neighbour discovery requires it.
func message6(from, to netip.Addr, body []byte) []byte {
	ip := ip6(58, from, to, body)
	ip[7] = 255
	return withChecksum6(ip)
}

// neighbourAdvert returns a neighbour advertisement of a target, with the override flag.
func neighbourAdvert(target netip.Addr, mac specs.MAC) []byte {
	body := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, target.AsSlice()...)
	return append(append(body, 2, 1), mac[:]...)
}

// neighbourSolicit returns a neighbour solicitation with its sender's MAC.
func neighbourSolicit(target netip.Addr, mac specs.MAC) []byte {
	body := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	return append(append(body, 1, 1), mac[:]...)
}

// routerAdvertised returns a router advertisement with a lifetime of half an hour.
func routerAdvertised() []byte {
	return []byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0}
}
