package network

import (
	"encoding/binary"
	"net/netip"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// Sizes and numbers of frames: Ethernet header, and ARP for IPv4 over Ethernet
// (RFC 826, "Packet format").
const (
	ethernetHeader = 14
	arpLength      = 28
	arpHardware    = 1 // Ethernet
	arpRequest     = 1
)

var broadcast = specs.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// arpProbe returns a request for an address that does not claim it: the sender's
// IP is 0.0.0.0 (RFC 5227 section 2.1.1).
func arpProbe(mac specs.MAC, a netip.Addr) []byte {
	return arpFrame(mac, netip.IPv4Unspecified(), a)
}

// arpAnnouncement returns a request that claims an address: sender's and target's
// IP are both that address (RFC 5227 section 2.3).
func arpAnnouncement(mac specs.MAC, a netip.Addr) []byte { return arpFrame(mac, a, a) }

// arpFrame returns a broadcast request; the target's MAC is zero.
func arpFrame(mac specs.MAC, sender, target netip.Addr) []byte {
	f := ethernetFrame(broadcast, mac, unix.ETH_P_ARP)
	f = binary.BigEndian.AppendUint16(f, arpHardware)
	f = binary.BigEndian.AppendUint16(f, unix.ETH_P_IP)
	f = append(f, 6, 4) // lengths of the addresses
	f = binary.BigEndian.AppendUint16(f, arpRequest)
	f = append(f, mac[:]...)
	f = append(f, sender.AsSlice()...)
	f = append(f, make([]byte, 6)...)
	return append(f, target.AsSlice()...)
}

func ethernetFrame(to, from specs.MAC, kind uint16) []byte {
	f := make([]byte, 0, 128)
	f = append(f, to[:]...)
	f = append(f, from[:]...)
	return binary.BigEndian.AppendUint16(f, kind)
}

// arpClaim returns the address that the sender of an ARP packet has or is about
// to take, and its MAC. RFC 5227 section 2.1.1: any packet whose sender address
// is that address is a conflict, and so is a probe for it by another host.
func arpClaim(arp []byte) (netip.Addr, specs.MAC, bool) {
	if len(arp) < arpLength || binary.BigEndian.Uint16(arp) != arpHardware ||
		binary.BigEndian.Uint16(arp[2:]) != unix.ETH_P_IP || arp[4] != 6 || arp[5] != 4 {
		return netip.Addr{}, specs.MAC{}, false
	}
	mac := macOf(arp[8:14])
	sender, target := netip.AddrFrom4([4]byte(arp[14:])), netip.AddrFrom4([4]byte(arp[24:]))
	if !sender.IsUnspecified() {
		return sender, mac, true
	}
	return target, mac, binary.BigEndian.Uint16(arp[6:]) == arpRequest
}
