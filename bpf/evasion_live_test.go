package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// The addresses of the evasions: no machine has the forged ones, so that no answer and no
// duplicate detection changes a receiver's state.
var (
	ipForged  = netip.MustParseAddr("192.0.2.99")
	ip6Forged = netip.MustParseAddr("2001:db8::99")
)

// receiver is a Linux machine that may accept a forged frame.
type receiver struct {
	testing.TB
	*testnet.NS
	link string
	at   int // the index of the link
	tell *netlink.Handle
	mac  specs.MAC
	ip   netip.Addr
	ip6  netip.Addr
	fds  map[uint16]int // sockets by port, of IPv6 and IPv4
}

// newReceiver prepares a namespace to receive datagrams and use IPv6 on its link.
func newReceiver(t testing.TB, ns *testnet.NS, link string, ip, ip6 netip.Addr) *receiver {
	t.Helper()
	r := &receiver{
		TB: t, NS: ns, link: link, at: testnet.Link(t, ns, link).Attrs().Index, tell: testnet.Netlink(t, ns),
		mac: macOf(t, ns, link), ip: ip, ip6: ip6, fds: make(map[uint16]int),
	}
	testnet.In(t, ns, func() {
		for _, of := range []string{"all", link} {
			must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+of+"/disable_ipv6", []byte("0"), 0))
		}
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/accept_ra", []byte("2"), 0))
		must(t, os.WriteFile("/proc/sys/net/ipv6/conf/"+link+"/suppress_frag_ndisc", []byte("0"), 0))
		must(t, os.WriteFile("/proc/sys/net/ipv4/conf/"+link+"/arp_accept", []byte("1"), 0))
		for _, port := range []uint16{1009, 68, 546} {
			fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			must(t, err)
			t.Cleanup(func() { _ = unix.Close(fd) })
			must(t, unix.Bind(fd, &unix.SockaddrInet6{Port: int(port)}))
			r.fds[port] = fd
		}
	})
	testnet.Address(t, ns, link, ip6.String()+"/64")
	testnet.Eventually(t, "an address of the link", func() bool {
		return !strings.Contains(testnet.Run(t, ns, "ip", "-6", "address", "show", "dev", link), "tentative")
	})
	return r
}

// payloadsAt returns the payloads that have arrived at a port.
func (r *receiver) payloadsAt(port uint16) (all []string) {
	r.Helper()
	buffer := make([]byte, 2000)
	for {
		n, _, err := unix.Recvfrom(r.fds[port], buffer, 0)
		if err != nil {
			return all
		}
		all = append(all, string(buffer[:n]))
	}
}

// hasNeighbour reports whether the receiver has this MAC for an address.
func (r *receiver) hasNeighbour(a netip.Addr, mac specs.MAC) bool {
	r.Helper()
	all, err := r.tell.NeighList(r.at, 0)
	must(r, err)
	return slices.ContainsFunc(all, func(n netlink.Neigh) bool {
		return n.IP.Equal(a.AsSlice()) && bytes.Equal(n.HardwareAddr, mac[:])
	})
}

// routerRoutes returns the receiver's default routes learnt from a router.
func (r *receiver) routerRoutes() []netlink.Route {
	r.Helper()
	link := &netlink.Device{LinkAttrs: netlink.LinkAttrs{Index: r.at}}
	all, err := r.tell.RouteList(link, unix.AF_INET6)
	must(r, err)
	return slices.DeleteFunc(all, func(route netlink.Route) bool { return !route.Gw.Equal(ip6Link.AsSlice()) })
}

// forgetForged removes everything forged from the receiver.
func (r *receiver) forgetForged() {
	r.Helper()
	err := r.tell.NeighDel(&netlink.Neigh{LinkIndex: r.at, IP: ipForged.AsSlice()})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		r.Fatal(err)
	}
	must(r, r.tell.NeighSet(&netlink.Neigh{ // an advertisement can change it, but not create it
		LinkIndex: r.at, State: netlink.NUD_STALE, IP: ip6Forged.AsSlice(), HardwareAddr: macLAN[:],
	}))
	for _, route := range r.routerRoutes() {
		must(r, r.tell.RouteDel(&route))
	}
	for port := range r.fds {
		r.payloadsAt(port)
	}
}

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
		return slices.ContainsFunc(by.payloadsAt(port), func(s string) bool { return strings.HasPrefix(s, forgedText) || s[0] == 2 })
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

// forgeries returns the forgeries of the container whose addresses are own and own6.
func forgeries(own, own6 netip.Addr) map[string]forgery {
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
		"router":             {specs.RogueRA, 6, router, routed},
		"MAC": {specs.MACSpoof, 0, func(_ specs.MAC, r *receiver) []byte {
			return datagram4(own, 9, 1009, forgedText)(macB, r)
		}, arrivesAt(1009)},
	}
}

// evasions returns all carriers for a forgery.
func (f forgery) evasions() map[string]carrier {
	all := maps.Clone(carriers)
	switch f.v {
	case 4:
		maps.Copy(all, carriers4)
	case 6:
		maps.Copy(all, carriers6)
	}
	return all
}

// arena is a container that sends forgeries, and the machines that may believe them.
type arena struct {
	*lab
	from *container
	own6 netip.Addr
	to   map[string]*receiver

	raw, index int // a packet socket in the container, and the index of its interface
}

func newArena(t *testing.T) *arena {
	t.Helper()
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	befriend(a, b)
	a.Addresses, b.Addresses = append(a.Addresses, ip6A), append(b.Addresses, ip6B)
	must(t, l.maps.Register(b.Endpoint))
	a.Index = testnet.Link(t, a.NS, "net1").Attrs().Index
	testnet.In(t, a.NS, func() { must(t, l.maps.AttachInside(a.Endpoint)) })
	x := &arena{lab: l, from: a, own6: ip6A, index: a.Index, to: map[string]*receiver{
		"the LAN":   newReceiver(t, l.lan, "wire", ipLAN, ip6LAN),
		"a sibling": newReceiver(t, b.NS, "net1", b.ip, ip6B),
	}}
	testnet.In(t, a.NS, func() {
		var err error
		x.raw, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(t, err)
	})
	t.Cleanup(func() { _ = unix.Close(x.raw) })
	return x
}

// tryForgery sends a forgery in a carrier, and reports whether the receiver accepts it. A valid
// datagram of the container's, sent after it, must arrive.
func (x *arena) tryForgery(f forgery, c carrier, to *receiver) bool {
	x.Helper()
	to.forgetForged()
	must(x, x.maps.Zero(x.from.Slot))
	for _, frame := range c(f.frame(x.from.MAC, to)) {
		x.sendFrame(frame)
	}
	x.sendFrame(datagram4(x.from.ip, 9, 546, ownText)(x.from.MAC, to))
	taken := false
	testnet.Eventually(x, "its own datagram", func() bool {
		for _, text := range to.payloadsAt(546) {
			if text == ownText {
				return true
			}
			taken = true
		}
		return false
	})
	return f.accepted(x.from.MAC, to) || taken
}

// sendFrame sends a frame from the container, which may be dropped on its way.
func (x *arena) sendFrame(frame []byte) {
	x.Helper()
	if err := unix.Sendto(x.raw, frame, 0, &unix.SockaddrLinklayer{Ifindex: x.index}); err != nil && !errors.Is(err, unix.ENOBUFS) {
		x.Fatal(err)
	}
}

// enforceKinds sets the kinds that the container's network enforces.
func (x *arena) enforceKinds(kinds ...specs.Kind) {
	x.Helper()
	x.from.Enforce = kinds
	must(x, x.maps.Register(x.from.Endpoint))
}

// TestEvasions sends each forgery in each carrier, to the LAN and to a sibling, to each
// alone and as a group frame. Linux
// itself is the reference: a forgery that it accepts without enforcement must not reach it
// while the kind is enforced.
func TestEvasions(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	accepted := make(map[specs.Kind]int)
	for name, f := range forgeries(x.from.ip, x.own6) {
		for group, mac := range groups(f.v) {
			if group == "" && f.kind == specs.MACSpoof && !netnsHelper() {
				continue // the kernel cannot identify the sender
			}
			f := f.addressed(mac)
			for how, c := range f.evasions() {
				for who, to := range x.to {
					what := fmt.Sprintf("%s, %s, to %s%s", name, how, who, group)
					if x.evadesEnforcement(f, c, to, what) {
						accepted[f.kind]++
					} else if how == "as it is" && name != "ARP of other MACs" {
						t.Errorf("%s: not taken, so that it tests nothing", what)
					}
				}
			}
		}
	}
	t.Logf("taken where nothing is enforced: %v", accepted)
}

// groups returns the destinations of a forgery: the receiver's own MAC (the zero one), and
// groups that it is in. The driver gives siblings their copies of those past the parent.
func groups(v int) map[string]specs.MAC {
	all := map[string]specs.MAC{"": {}, " with all": macAll, " in a group": {1, 0, 0x5e, 0, 0, 1}}
	if v == 6 {
		all[" in a group"] = specs.MAC{0x33, 0x33, 0, 0, 0, 1}
	}
	return all
}

// addressed returns the forgery with another destination, unless that is zero.
func (f forgery) addressed(to specs.MAC) forgery {
	frame := f.frame
	if !to.IsZero() {
		f.frame = func(from specs.MAC, r *receiver) []byte { return slices.Concat(to[:], frame(from, r)[6:]) }
	}
	return f
}

// evadesEnforcement reports whether a receiver accepts a forgery that is not enforced. If it does,
// evadesEnforcement checks that the forgery is found, and does not arrive when enforced.
func (x *arena) evadesEnforcement(f forgery, c carrier, to *receiver, what string) bool {
	x.Helper()
	x.enforceKinds()
	if !x.tryForgery(f, c, to) {
		return false
	}
	if found := x.allViolations()[x.from.Slot]; len(found) == 0 && (f.kind != specs.MACSpoof || netnsHelper()) {
		x.Errorf("%s: not found", what)
	}
	x.enforceKinds(f.kind)
	if x.tryForgery(f, c, to) {
		x.Errorf("%s: arrives though it is enforced: %v", what, x.allViolations())
	}
	if found := x.allViolations()[x.from.Slot][f.kind]; found.Dropped == 0 || found.Dropped != found.Packets {
		x.Errorf("%s: dropped, and not counted so: %v", what, x.allViolations())
	}
	return true
}
