package bpf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

const gsoDatagrams = 5 // VIRTIO_NET_HDR_GSO_UDP_L4

// offloaded gives a frame the header of a packet socket (struct virtio_net_hdr), which leaves a
// checksum, and the segmentation if a size is given, to the kernel.
func offloaded(gso byte, size, start, offset uint16, frame []byte) []byte {
	head := binary.NativeEndian.AppendUint16([]byte{1, gso}, uint16(len(frame)))
	if size > 0 {
		binary.NativeEndian.PutUint16(head[2:], start+8)
	}
	for _, field := range []uint16{size, start, offset} {
		head = binary.NativeEndian.AppendUint16(head, field)
	}
	return append(head, frame...)
}

// newOffloadArena is an arena whose container sends frames behind a virtio header. The
// parent computes no checksums, as a card without that offload.
func newOffloadArena(t *testing.T) *arena {
	t.Helper()
	x := newArena(t)
	must(t, unix.SetsockoptInt(x.raw, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1))
	x.last = func(to *receiver) {
		x.sendFrame(append(make([]byte, 10), datagram4(x.from.ip, 9, 546, ownText)(x.from.MAC, to)...))
	}
	testnet.Run(t, x.ns, "ethtool", "-K", "eth0", "tx-checksumming", "off")
	return x
}

// laterServed returns a super-packet of two datagrams to a client's port, the first of which is a
// client's message, and the second a server's.
func laterServed(v int, own netip.Addr) func(specs.MAC, *receiver) []byte {
	return func(mac specs.MAC, r *receiver) []byte {
		text := "\x01" + bootReply[1:] + bootReply
		frame, from, to, start := datagram4(own, 1067, 68, text)(mac, r), own, r.ip, uint16(34)
		if v == 6 {
			frame, to, start = datagram6(own, 1547, 546, text)(mac, r), r.ip6, 54
		}
		length := binary.BigEndian.AppendUint16([]byte{0, 17}, uint16(len(frame))-start)
		sum := ^checksum(from.AsSlice(), to.AsSlice(), length) // of the pseudo-header, where the kernel begins
		binary.BigEndian.PutUint16(frame[start+6:], sum)
		return offloaded(gsoDatagrams, uint16(len(bootReply)), start, 6, frame)
	}
}

// summedInto returns a frame that equals the wanted one when the kernel has written a checksum at
// an offset. Until then it has the bytes of another frame there. A trailer, which no receiver
// reads, gives the checksum its value.
func summedInto(at uint16, is, wanted func(specs.MAC, *receiver) []byte) func(specs.MAC, *receiver) []byte {
	return func(mac specs.MAC, r *receiver) []byte {
		first, becomes := is(mac, r), wanted(mac, r)
		frame := slices.Concat(becomes[:at], first[at:at+2], becomes[at+2:], make([]byte, 2+len(becomes)%2))
		sum := 2*0xffff - uint32(binary.BigEndian.Uint16(becomes[at:])) - uint32(^checksum(frame[at:]))
		binary.BigEndian.PutUint16(frame[len(frame)-2:], uint16(sum%0xffff))
		return offloaded(0, 0, at, 0, frame)
	}
}

// offloadForgeries returns the forgeries of TestEvasionsByOffloads.
func offloadForgeries(own, own6 netip.Addr) map[string]forgery {
	all := forgeries(own, own6, specs.MAC{})
	summed := func(at uint16, is func(specs.MAC, *receiver) []byte, name string) forgery {
		f := all[name]
		f.frame = summedInto(at, is, f.frame)
		return f
	}
	noCookie := "\x01" + bootCookie[1:236] + "\x00\x00" + bootCookie[238:]
	dhcp6 := datagram6(own6, 1547, 546, "\x01"+bootReply[1:])
	echo := ndForgery(ip6Link, func(specs.MAC) []byte { return append([]byte{128}, routerAdvertised()[1:]...) })
	advert := ndForgery(own6, func(mac specs.MAC) []byte { return neighbourAdvert(own6, mac) })
	return map[string]forgery{
		"DHCP, a later segment":     {specs.RogueDHCP, 4, laterServed(4, own), arrivesAt(68)},
		"DHCPv6, a later segment":   {specs.RogueDHCP, 6, laterServed(6, own6), arrivesAt(546)},
		"a source by a sum":         summed(28, datagram4(own, 9, 1009, forgedText), "IPv4 source"),
		"an ARP sender by a sum":    summed(30, arpMessage(2, 0x604, own), "ARP answer"),
		"a DHCP message by a sum":   summed(42, datagram4(own, 1067, 68, "\x01"+bootReply[1:]), "DHCP, another port"),
		"a DHCP port by a sum":      summed(36, datagram4(own, 67, 9, bootReply), "DHCP"),
		"a DHCP cookie by a sum":    summed(278, datagram4(own, 1067, 68, noCookie), "DHCP, a request"),
		"a DHCPv6 message by a sum": summed(62, dhcp6, "DHCPv6, a port"),
		"a router by a sum":         summed(54, echo, "router"),
		"a target by a sum":         summed(76, advert, "advertisement"),
	}
}

// TestEvasionsByOffloads sends forgeries that a frame only becomes behind the programs: in a later
// segment of a super-packet, and by a checksum that overwrites what the programs have read.
// Frames to siblings never get such a checksum.
func TestEvasionsByOffloads(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	x := newOffloadArena(t)
	send, made := x.send, true
	x.send = func(frame []byte) error {
		err := send(frame)
		if frame[1] == gsoDatagrams && errors.Is(err, unix.EINVAL) { // of a packet socket before 6.2
			made, err = false, nil
		}
		return err
	}
	for name, f := range offloadForgeries(x.from.ip, x.own6) {
		for who, to := range x.to {
			what := fmt.Sprintf("%s, to %s", name, who)
			taken := x.evadesEnforcement(f, unchangedFrame, to, what)
			if later := strings.HasSuffix(name, "segment"); !taken && (later && made || !later && who == "the LAN") {
				t.Errorf("%s: not taken, so that it tests nothing", what)
			}
		}
	}
}

// TestMACByAChecksum sends frames with the container's MAC by AF_XDP, of which the kernel overwrites
// two bytes by a checksum.
func TestMACByAChecksum(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	x := newOffloadArena(t)
	x.last = func(to *receiver) {
		sendRaw(x, x.from.NS, "net1", datagram4(x.from.ip, 9, 546, ownText)(x.from.MAC, to))
	}
	var socket *xdpSocket
	var err error
	testnet.In(t, x.from.NS, func() { socket, err = newSummingXDPSocket(t, x.index) })
	if errors.Is(err, unix.EINVAL) {
		t.Log("this kernel computes no checksums for AF_XDP, which 6.8 and newer do")
		return
	}
	must(t, err)
	const at = 10 // the last two bytes of the source MAC
	x.send = func(frame []byte) error { return socket.sendSummed(at, frame[10:]) }
	forged := func(mac specs.MAC, r *receiver) []byte {
		mac[5] ^= 0xff
		return datagram4(x.from.ip, 9, 1009, forgedText)(mac, r)
	}
	own := datagram4(x.from.ip, 9, 1009, forgedText)
	f := forgery{specs.MACSpoof, 4, summedInto(at, own, forged), arrivesAt(1009)}
	if !x.evadesEnforcement(f, unchangedFrame, x.to["the LAN"], "a MAC by a sum") {
		t.Error("not taken, so that it tests nothing")
	}
}

// TestPlainOffloads sends frames of which the kernel writes the checksum where the protocol has it,
// on a network that enforces everything: they pass, and are no violation.
func TestPlainOffloads(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Types)
	x := newOffloadArena(t)
	x.enforceKinds(specs.MACSpoof, specs.IPSpoof, specs.RogueDHCP, specs.RogueRA, specs.HostIsolation)
	echo := ndForgery(x.own6, func(specs.MAC) []byte { return append([]byte{128}, make([]byte, 30)...) })
	for name, c := range map[string]struct {
		frame         func(specs.MAC, *receiver) []byte
		start, offset uint16
		how           carrier
	}{
		"UDP":                     {datagram4(x.from.ip, 9, 1009, forgedText), 34, 6, unchangedFrame},
		"UDP with options":        {datagram4(x.from.ip, 9, 1009, forgedText), 38, 6, withOptions4(1)},
		"UDP, VLAN 0":             {datagram4(x.from.ip, 9, 1009, forgedText), 38, 6, vlanTags(0x8100, 0)},
		"a DHCP client":           {datagram4(x.from.ip, 68, 67, "\x01"+bootReply[1:]), 34, 6, unchangedFrame},
		"a tunnel":                {datagram4(x.from.ip, 9, 4789, bootReply), 60, 6, unchangedFrame},
		"UDP over IPv6":           {datagram6(x.own6, 9, 1009, forgedText), 54, 6, unchangedFrame},
		"UDP behind destinations": {datagram6(x.own6, 9, 1009, forgedText), 62, 6, withExtensions6(60)},
		"ICMPv6":                  {echo, 54, 2, unchangedFrame},
	} {
		to := x.to["the LAN"]
		for _, frame := range c.how(c.frame(x.from.MAC, to)) {
			if err := x.send(offloaded(0, 0, c.start, c.offset, frame)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if found := x.allViolations()[x.from.Slot]; len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
