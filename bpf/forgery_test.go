package bpf

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"berth/specs"
)

// forgery is a frame that a container must not send.
type forgery struct {
	kind     specs.Kind
	v        int // 4 or 6 if it is IP, else 0
	frame    func(from specs.MAC, to *receiver) []byte
	accepted func(from specs.MAC, by *receiver) bool
}

// The payloads of a forged datagram and a valid one.
const (
	forgedText = "forged datagram"
	ownText    = "its own"
)

func arrivesAt(port uint16) func(specs.MAC, *receiver) bool {
	return func(_ specs.MAC, by *receiver) bool {
		return slices.ContainsFunc(by.payloadsAt(port), func(s string) bool {
			return strings.HasPrefix(s, forgedText) || s[0] == 2 || s[0] == 13 || strings.HasSuffix(s, "\x63\x82\x53\x63")
		})
	}
}

func believedBy(a netip.Addr) func(specs.MAC, *receiver) bool {
	return func(from specs.MAC, by *receiver) bool { return by.hasNeighbour(a, from) }
}

func datagram4(source netip.Addr, from, to uint16, text string) func(specs.MAC, *receiver) []byte {
	return func(mac specs.MAC, r *receiver) []byte {
		return ethernet(r.mac, mac, 0x800, withChecksum4(ip4(17, source, r.ip, datagram(from, to, []byte(text)))))
	}
}

func datagram6(source netip.Addr, from, to uint16, text string) func(specs.MAC, *receiver) []byte {
	return func(mac specs.MAC, r *receiver) []byte {
		return ethernet(r.mac, mac, 0x86dd, withChecksum6(ip6(17, source, r.ip6, datagram(from, to, []byte(text)))))
	}
}

func arpMessage(operation, lengths uint16, sender netip.Addr) func(specs.MAC, *receiver) []byte {
	return func(mac specs.MAC, r *receiver) []byte {
		p := arpFor(sender, r.ip)
		copy(p, []byte{0, 1, 8, 0})
		binary.BigEndian.PutUint16(p[4:], lengths)
		binary.BigEndian.PutUint16(p[6:], operation)
		copy(p[8:], mac[:])
		return ethernet(r.mac, mac, 0x806, p)
	}
}

func ndForgery(from netip.Addr, body func(specs.MAC) []byte) func(specs.MAC, *receiver) []byte {
	return func(mac specs.MAC, r *receiver) []byte {
		return ethernet(r.mac, mac, 0x86dd, message6(from, r.ip6, body(mac)))
	}
}

// bootReply is the beginning of a DHCP server's message, the same in either version.
var bootReply = string([]byte{2, 1, 6, 0}) + strings.Repeat("\x00", 40)

// bootCookie is bootReply with the cookie that every message of DHCP has (RFC 2131, section 3).
var bootCookie = bootReply + strings.Repeat("\x00", 236-len(bootReply)) + "\x63\x82\x53\x63"

// forgeries returns the forgeries of the container whose addresses are own and own6, among
// them one with the MAC of another container.
func forgeries(own, own6 netip.Addr, other specs.MAC) map[string]forgery {
	routed := func(_ specs.MAC, by *receiver) bool { return len(by.routerRoutes()) > 0 }
	router := ndForgery(ip6Link, func(specs.MAC) []byte { return routerAdvertised() })
	return map[string]forgery{
		"IPv4 source":       {specs.IPSpoof, 4, datagram4(ipForged, 9, 1009, forgedText), arrivesAt(1009)},
		"IPv6 source":       {specs.IPSpoof, 6, datagram6(ip6Forged, 9, 1009, forgedText), arrivesAt(1009)},
		"ARP answer":        {specs.IPSpoof, 0, arpMessage(2, 0x604, ipForged), believedBy(ipForged)},
		"ARP request":       {specs.IPSpoof, 0, arpMessage(1, 0x604, ipForged), believedBy(ipForged)},
		"ARP of other MACs": {specs.IPSpoof, 0, arpMessage(2, 0x804, ipForged), believedBy(ipForged)},
		"advertisement": {specs.IPSpoof, 6, ndForgery(own6, func(mac specs.MAC) []byte { return neighbourAdvert(ip6Forged, mac) }),
			believedBy(ip6Forged)},
		"solicitation": {specs.IPSpoof, 6, func(mac specs.MAC, r *receiver) []byte {
			return ethernet(r.mac, mac, 0x86dd, message6(ip6Forged, r.ip6, neighbourSolicit(r.ip6, mac)))
		}, believedBy(ip6Forged)},
		"DHCP":               {specs.RogueDHCP, 4, datagram4(own, 67, 68, bootReply), arrivesAt(68)},
		"DHCP, another port": {specs.RogueDHCP, 4, datagram4(own, 1067, 68, bootReply), arrivesAt(68)},
		"DHCPv6":             {specs.RogueDHCP, 6, datagram6(own6, 547, 546, bootReply), arrivesAt(546)},
		"DHCPv6, a port":     {specs.RogueDHCP, 6, datagram6(own6, 1547, 546, bootReply), arrivesAt(546)},
		"DHCP, a request":    {specs.RogueDHCP, 4, datagram4(own, 1067, 68, "\x01"+bootCookie[1:]), arrivesAt(68)},
		"DHCP to a relay":    {specs.RogueDHCP, 4, datagram4(own, 1067, 67, bootReply), arrivesAt(67)},
		"DHCPv6 to a relay":  {specs.RogueDHCP, 6, datagram6(own6, 1547, 547, "\x0d"+bootReply[1:]), arrivesAt(547)},
		"router":             {specs.RogueRA, 6, router, routed},
		"MAC":                {specs.MACSpoof, 0, datagramOf(macB, own), arrivesAt(1009)},
		"MAC taken":          {specs.MACSpoof, 0, datagramOf(other, own), arrivesAt(1009)},
	}
}

// datagramOf returns a datagram with any source MAC.
func datagramOf(mac specs.MAC, own netip.Addr) func(specs.MAC, *receiver) []byte {
	return func(_ specs.MAC, r *receiver) []byte { return datagram4(own, 9, 1009, forgedText)(mac, r) }
}

// addressed returns the forgery with another destination, unless that is zero.
func (f forgery) addressed(to specs.MAC) forgery {
	frame := f.frame
	if !to.IsZero() {
		f.frame = func(from specs.MAC, r *receiver) []byte { return slices.Concat(to[:], frame(from, r)[6:]) }
	}
	return f
}
