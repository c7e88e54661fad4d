package bpf

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// newIPvlanArena is newArena with ipvlan interfaces, which are in IPv6 too.
func newIPvlanArena(t *testing.T, mode specs.Mode) *arena {
	t.Helper()
	testnet.Need(t, testnet.IPvlan)
	l := newLab(t, Options{})
	a, b, other := l.ipvlan(mode), l.ipvlan(mode), l.ipvlan(mode)
	a.Addresses, b.Addresses = append(a.Addresses, ip6A), append(b.Addresses, ip6B)
	must(t, l.maps.Register(b.Endpoint))
	x := &arena{lab: l, from: a, own6: ip6A, other: other, index: a.Index, to: map[string]*receiver{
		"a sibling": newReceiver(t, b.NS, "net1", b.ip, ip6B),
	}}
	x.openSocket()
	x.withProtocol(true)
	if mode == specs.ModeL2 {
		x.to["the LAN"] = newReceiver(t, l.lan, "wire", ipLAN, ip6LAN)
		x.last = x.lastToAll
	}
	return x
}

// withProtocol makes the packet socket name the protocol of each frame, or none: the driver then
// hands over unicast frames to the host, and its receive path to the sibling.
func (x *arena) withProtocol(named bool) {
	x.send = func(frame []byte) error {
		to := &unix.SockaddrLinklayer{Ifindex: x.index}
		if named {
			to.Protocol = binary.NativeEndian.Uint16(frame[12:])
		}
		return unix.Sendto(x.raw, frame, 0, to)
	}
}

// lastToAll lets the third container broadcast: the driver delivers group frames later than
// others, in the order in which they were sent.
func (x *arena) lastToAll(to *receiver) {
	frame := datagram4(x.other.ip, 9, 546, ownText)(x.other.MAC, to)
	sendRaw(x, x.other.NS, "net1", append(macAll[:], frame[6:]...))
}

// ipvlanWays prepare a container to send to its siblings.
var ipvlanWays = map[string]func(*arena){
	"its interface": func(*arena) {},
	"packet socket": bypasses["packet socket"],
	"packet socket without a protocol": func(x *arena) {
		bypasses["packet socket"](x)
		x.withProtocol(false)
	},
	"AF_XDP": bypasses["AF_XDP"],
}

// TestEvasionsOfIPvlan sends each forgery from an ipvlan interface, by its programs and past them,
// to a sibling and, in mode l2, to the LAN. In mode l2 group frames reach siblings as copies.
func TestEvasionsOfIPvlan(t *testing.T) {
	t.Parallel()
	for _, mode := range specs.Modes(specs.IPvlan) {
		for way, prepare := range ipvlanWays {
			if mode != specs.ModeL2 && (way == "packet socket without a protocol" || way == "AF_XDP") {
				continue // the driver drops frames without a protocol
			}
			t.Run(fmt.Sprintf("%s, %s", mode, way), func(t *testing.T) {
				t.Parallel()
				x := newIPvlanArena(t, mode)
				prepare(x)
				x.tryIPvlan()
			})
		}
	}
}

// tryIPvlan tries the forgeries, and requires that siblings take those that they must take for the
// test to test anything.
func (x *arena) tryIPvlan() {
	x.Helper()
	taken := make(map[string]int)
	for name, f := range forgeries(x.from.ip, x.own6, x.other.MAC) {
		for group, mac := range groups(f.v) {
			if name == "MAC taken" || group != "" && x.from.Mode != specs.ModeL2 {
				continue // all have the same MAC; the other modes have no group frames
			}
			f := f.addressed(mac)
			for how, c := range f.evasions() {
				for who, to := range x.to {
					if group == "" && f.kind == specs.MACSpoof && who == "the LAN" && !namesSenders() {
						continue // the kernel cannot name the sender
					}
					if pastCarriers[how] && x.evadesEnforcement(f, c, to, fmt.Sprintf("%s, %s, to %s%s", name, how, who, group)) {
						taken[name+group+" "+who]++
					}
				}
			}
		}
	}
	x.Logf("taken where nothing is enforced: %v", taken)
	for _, must := range []string{"IPv4 source", "IPv6 source", "DHCP", "DHCPv6", "router", "advertisement"} {
		if taken[must+" a sibling"] == 0 {
			x.Errorf("%s: no sibling takes it, so that it tests nothing", must)
		}
	}
	for _, must := range []string{"IPv4 source with all", "ARP answer with all", "router in a group", "MAC with all"} {
		if x.from.Mode == specs.ModeL2 && taken[must+" a sibling"] == 0 {
			x.Errorf("%s: no sibling takes it, so that it tests nothing", must)
		}
	}
}
