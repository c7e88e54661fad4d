package bpf

import (
	"bytes"
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
		for _, port := range []uint16{1009, 67, 68, 546, 547} {
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
	from  *container
	own6  netip.Addr
	other *container // a third one
	to    map[string]*receiver

	last  func(to *receiver)       // sends a valid datagram, which arrives after all that was sent before
	raw   int                      // a packet socket in the container
	index int                      // of the container's interface
	send  func(frame []byte) error // sends from the container's interface
}

func newArena(t *testing.T) *arena {
	t.Helper()
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	befriend(a, b)
	a.Addresses, b.Addresses = append(a.Addresses, ip6A), append(b.Addresses, ip6B)
	must(t, l.maps.Register(b.Endpoint))
	a.Index = testnet.Link(t, a.NS, "net1").Attrs().Index
	testnet.In(t, a.NS, func() { must(t, l.maps.AttachInside(SiblingProgram, a.Endpoint)) })
	b.Index = testnet.Link(t, b.NS, "net1").Attrs().Index
	testnet.In(t, b.NS, func() { must(t, l.maps.AttachInside(ReceiverProgram, b.Endpoint)) })
	x := &arena{lab: l, from: a, own6: ip6A, other: l.container(specs.ModeBridge), index: a.Index, to: map[string]*receiver{
		"the LAN":   newReceiver(t, l.lan, "wire", ipLAN, ip6LAN),
		"a sibling": newReceiver(t, b.NS, "net1", b.ip, ip6B),
	}}
	x.openSocket()
	return x
}

// openSocket opens the container's packet socket, by which the arena sends then.
func (x *arena) openSocket() {
	x.Helper()
	testnet.In(x, x.from.NS, func() {
		var err error
		x.raw, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(x, err)
	})
	x.Cleanup(func() { _ = unix.Close(x.raw) })
	x.send = func(frame []byte) error {
		return unix.Sendto(x.raw, frame, 0, &unix.SockaddrLinklayer{Ifindex: x.index})
	}
	x.last = func(to *receiver) { x.sendFrame(datagram4(x.from.ip, 9, 546, ownText)(x.from.MAC, to)) }
}

// tryForgery sends a forgery in a carrier, and reports whether the receiver accepts it. A valid
// datagram, sent after it, must arrive.
func (x *arena) tryForgery(f forgery, c carrier, to *receiver) bool {
	x.Helper()
	to.forgetForged()
	must(x, x.maps.Zero(x.from.Slot))
	inOrder(x, func() {
		for _, frame := range c(f.frame(x.from.MAC, to)) {
			x.sendFrame(frame)
		}
		x.last(to)
	})
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
	if err := x.send(frame); err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EBUSY) {
		x.Fatal(err)
	}
}

// enforceKinds sets the kinds that the container's network enforces.
func (x *arena) enforceKinds(kinds ...specs.Kind) {
	x.Helper()
	x.from.Enforce = kinds
	must(x, x.maps.Register(x.from.Endpoint))
	if x.from.Driver == specs.IPvlan {
		must(x, x.maps.SetGuarded(x.parent, len(kinds) > 0, false))
	}
}

// TestEvasions sends each forgery in each carrier, to the LAN and to a sibling, to each
// alone and as a group frame. Linux
// itself is the reference: a forgery that it accepts without enforcement must not reach it
// while the kind is enforced.
func TestEvasions(t *testing.T) {
	t.Parallel()
	x := newArena(t)
	accepted := make(map[specs.Kind]int)
	for name, f := range forgeries(x.from.ip, x.own6, x.other.MAC) {
		for group, mac := range groups(f.v) {
			if group == "" && f.kind == specs.MACSpoof && !namesSenders() {
				continue // the kernel cannot name the sender
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

// evadesEnforcement reports whether a receiver accepts a forgery that is not enforced. If it does,
// evadesEnforcement checks that the forgery is found, and does not arrive when enforced.
func (x *arena) evadesEnforcement(f forgery, c carrier, to *receiver, what string) bool {
	x.Helper()
	x.enforceKinds()
	if !x.tryForgery(f, c, to) {
		return false
	}
	if found := x.allViolations()[x.from.Slot]; len(found) == 0 && (f.kind != specs.MACSpoof || namesSenders()) {
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
