package bpf

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// newReceiver4 prepares a namespace to receive datagrams, without IPv6: over a switch that
// reflects, a machine takes its own duplicate detection for another's.
func newReceiver4(t testing.TB, ns *testnet.NS, link string, ip netip.Addr) *receiver {
	t.Helper()
	r := &receiver{
		TB: t, NS: ns, link: link, at: testnet.Link(t, ns, link).Attrs().Index, tell: testnet.Netlink(t, ns),
		mac: macOf(t, ns, link), ip: ip, fds: make(map[uint16]int),
	}
	testnet.In(t, ns, func() {
		for _, port := range []uint16{1009, 546} {
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
			must(t, err)
			t.Cleanup(func() { _ = unix.Close(fd) })
			must(t, unix.Bind(fd, &unix.SockaddrInet4{Port: int(port)}))
			r.fds[port] = fd
		}
	})
	return r
}

// switched is a container that sends to a sibling or the host over a switch that reflects.
type switched struct {
	*lab
	kind     specs.Kind
	past     bool // it sends past the TC programs of its own interface
	from     *container
	enforces *container // the one whose network enforces the kind
	to       *receiver
}

// reaches sends a datagram or a question in a carrier, and reports whether it arrives before a
// datagram of the LAN that is sent after it. If it is sure to arrive, reaches waits for it.
func (x *switched) reaches(f forgery, c carrier, sure bool) (arrived bool) {
	x.Helper()
	for port := range x.to.fds {
		x.to.payloadsAt(port)
	}
	_ = x.to.tell.NeighDel(&netlink.Neigh{LinkIndex: x.to.at, IP: x.from.ip.AsSlice()}) // if it has one
	must(x, x.maps.Zero(x.from.Slot))
	must(x, x.maps.Zero(x.enforces.Slot))
	inOrder(x, func() {
		x.sendIn(f, c)
		if !sure {
			sendRaw(x, x.lan, "br0", datagram4(ipLAN, 9, 546, ownText)(macOf(x, x.lan, "br0"), x.to))
		}
	})
	if sure {
		testnet.Eventually(x, "the frame", func() bool { return f.accepted(x.from.MAC, x.to) })
		return true
	}
	testnet.Eventually(x, "the LAN's datagram", func() bool { return slices.Contains(x.to.payloadsAt(546), ownText) })
	return f.accepted(x.from.MAC, x.to)
}

// sendIn sends a forgery in a carrier.
func (x *switched) sendIn(f forgery, c carrier) {
	x.Helper()
	index := testnet.Link(x, x.from.NS, "net1").Attrs().Index
	testnet.In(x, x.from.NS, func() {
		fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		must(x, err)
		defer unix.Close(fd)
		if x.past {
			must(x, unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1))
		}
		for _, frame := range c(f.frame(x.from.MAC, x.to)) {
			_ = unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index}) // it may be dropped
		}
	})
}

// tryEnforced checks that a frame which is accepted if nothing is enforced is dropped if its kind
// is. Frames of sure must be accepted at first.
func (x *switched) tryEnforced(what string, f forgery, c carrier, sure bool) {
	x.Helper()
	enforce := func(kinds ...specs.Kind) {
		x.enforces.Enforce = kinds
		must(x, x.maps.Register(x.enforces.Endpoint))
	}
	enforce()
	if !x.reaches(f, c, sure) {
		return
	}
	enforce(x.kind)
	if x.reaches(f, c, false) {
		x.Errorf("%s, %s: arrives though it is enforced: %v", x.kind, what, x.allViolations())
	}
	if found := x.allViolations()[x.enforces.Slot][x.kind]; found.Dropped == 0 || found.Dropped != found.Packets {
		x.Errorf("%s, %s: dropped, and not counted so: %v", x.kind, what, x.allViolations())
	}
}

// arrangements are the kinds that a container breaks by way of a switch, each with a
// container that does.
var arrangements = map[specs.Kind]func(l *lab) *switched{
	specs.PrivateAttempt: func(l *lab) *switched {
		a, b := l.container(specs.ModePrivate), l.container(specs.ModePrivate)
		return &switched{from: a, enforces: a, to: newReceiver4(l, b.NS, "net1", b.ip)}
	},
	specs.PrivateLeak: func(l *lab) *switched {
		a, b := l.container(specs.ModePrivate), l.container(specs.ModePrivate)
		return &switched{from: a, enforces: b, to: newReceiver4(l, b.NS, "net1", b.ip)}
	},
	specs.VEPABypass: func(l *lab) *switched {
		a, b := l.container(specs.ModeVEPA), l.container(specs.ModeVEPA)
		for _, c := range []*container{a, b} {
			testnet.Run(l, c.NS, "ip", "link", "set", "net1", "type", "macvlan", "mode", "bridge")
		}
		return &switched{from: a, enforces: a, to: newReceiver4(l, b.NS, "net1", b.ip)}
	},
	specs.HostIsolation: func(l *lab) *switched {
		a, host := l.container(specs.ModeBridge), netip.MustParseAddr("192.0.2.1")
		testnet.Address(l, l.ns, "eth0", host.String()+"/24")
		must(l, l.maps.SetHostAddresses(l.parent, []netip.Addr{host}))
		a.Index = testnet.Link(l, a.NS, "net1").Attrs().Index
		testnet.In(l, a.NS, func() { must(l, l.maps.AttachInside(SiblingProgram, a.Endpoint)) })
		return &switched{from: a, enforces: a, to: newReceiver4(l, l.ns, "eth0", host)}
	},
}

// TestEvasionsOverASwitch sends datagrams and questions in each carrier to a sibling or the
// host, over a switch that reflects or, in a mode that the containers have changed, past it.
func TestEvasionsOverASwitch(t *testing.T) {
	t.Parallel()
	for kind, arrange := range arrangements {
		for how, past := range map[string]bool{"through its interface's programs": false, "past them": true} {
			t.Run(fmt.Sprintf("%s %s", kind, how), func(t *testing.T) {
				t.Parallel()
				l := newSwitch(t, true)
				x := arrange(l)
				x.lab, x.kind, x.past = l, kind, past
				x.tryCarriers()
			})
		}
	}
}

// tryCarriers sends a datagram, and a question to all if it breaks the rule too, in each carrier.
func (x *switched) tryCarriers() {
	x.Helper()
	all := maps.Clone(carriers)
	maps.Copy(all, carriers4)
	datagram := forgery{x.kind, 4, datagram4(x.from.ip, 9, 1009, forgedText), arrivesAt(1009)}
	for how, c := range all {
		x.tryEnforced("a datagram, "+how, datagram, c, how == "as it is")
	}
	if x.kind == specs.PrivateLeak || x.kind == specs.VEPABypass {
		return // a question to all is none of these
	}
	if x.kind == specs.HostIsolation { // the driver delivers no sibling's broadcast
		for how, c := range all {
			x.tryEnforced("a datagram to all, "+how, datagram.addressed(macAll), c, how == "as it is")
		}
	}
	asks := forgery{x.kind, 0, arpMessage(1, 0x604, x.from.ip), believedBy(x.from.ip)}.addressed(macAll)
	for how, c := range carriers {
		x.tryEnforced("ARP, "+how, asks, c, how == "as it is" && x.kind == specs.HostIsolation) // the driver delivers no sibling's broadcast
	}
}
