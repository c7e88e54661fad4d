package hook

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/release"
	"berth/internal/testnet"
	"berth/specs"
)

const enforcing = `parent = "PARENT"
conflict_timeout = "0"
ipv6 = "off"
enforce = ["ip-spoof"]
[[subnet]]
subnet = "192.0.2.0/24"
`

// TestGroupFramesAreEnforced pins an agent's programs and lets a container in mode bridge
// send ARP requests with an address that it was not given: they are dropped before its
// sibling gets its copies, also after the program was removed and attached again. If the
// container sends past the program, the sibling's own program drops the copy.
func TestGroupFramesAreEnforced(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	d := h.datapath()
	if err := d.OwnProgramsError(); err != nil {
		t.Skipf("the sibling program does not run on this kernel: %v", err)
	}
	h.network("lan", enforcing)
	h.network("open", strings.Replace(strings.Replace(enforcing, `"ip-spoof"`, "", 1), "2.0/24", "2.128/25", 1))
	a, b, c := h.box("a", "lan"), h.box("b", "lan"), h.box("c", "open")
	h.mustStart(a)
	h.mustStart(b)
	h.mustStart(c)
	of := h.firstOf("a")
	hearing := []arpHearing{hearARP(t, b.ns), hearARP(t, c.ns)}
	violates := func(what string, sent uint64) {
		t.Helper()
		for _, past := range []bool{false, true} { // past its sibling program
			hearing[0].sendARP(a.ns, of.MAC, netip.MustParseAddr("192.0.2.99"), past)
			hearing[0].sendARP(a.ns, of.MAC, of.Addresses[0].Addr(), past)
			for _, in := range hearing {
				if got := in.nextSender(); got != of.Addresses[0].Addr() {
					t.Errorf("%s, past %t: a sibling hears %s, want only the container's own address", what, past, got)
				}
			}
		}
		found, err := d.Maps().Violations(of.Slot)
		if n := found[specs.IPSpoof]; err != nil || n != (specs.Broken{Packets: sent, Dropped: sent}) {
			t.Errorf("%s: %+v, %v; want %d", what, found, err, sent)
		}
	}
	violates("attached by the hook", 2)
	if n := unpinInsides(t, h.dirs.BPFFS); n != 5 && n != 0 { // without tcx, filters stay
		t.Errorf("%d programs are on interfaces, want 2 on those of a and b, and 1 on that of c", n)
	}
	if _, err := h.releaserHere().AttachOwnPrograms(t.Context()); err != nil {
		t.Error(err)
	}
	violates("attached later", 4)
	h.mustStop(a)
	h.mustStop(b)
	if lacked, err := release.LackedPrograms(d.Maps(), h.firstOf("c")); err != nil || len(lacked) != 0 {
		t.Errorf("a network that enforces nothing lacks %v, %v", lacked, err)
	}
	if _, err := h.releaserHere().Collect(t.Context(), 0); err != nil {
		t.Error(err)
	}
	if n := unpinInsides(t, h.dirs.BPFFS); n != 1 && n != 0 {
		t.Errorf("%d links are left, want that of c", n)
	}
}

// TestGroupFramesOfIPvlanAreEnforced is TestGroupFramesAreEnforced for ipvlan in mode l2, whose flags
// forbid unicast frames between siblings, and no group frames. If the container sends past its
// sibling program, the guard programs drop its valid group frames too.
func TestGroupFramesOfIPvlanAreEnforced(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.IPvlan)
	for _, flag := range []string{"bridge", "private", "vepa"} {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			d := h.datapath()
			of := "driver = 'ipvlan'\nmode = 'l2'\nipvlan_flag = '" + flag + "'\n"
			h.network("lan", of+enforcing)
			h.network("open", of+strings.Replace(strings.Replace(enforcing, `"ip-spoof"`, "", 1), "2.0/24", "2.128/25", 1))
			a, b, c := h.box("a", "lan"), h.box("b", "lan"), h.box("c", "open")
			h.mustStart(c) // which has its guard before a network enforces
			h.mustStart(a)
			h.mustStart(b)
			at := h.firstOf("a")
			hearing := []arpHearing{hearARP(t, b.ns), hearARP(t, c.ns)}
			own := at.Addresses[0].Addr()
			for _, past := range []bool{false, true} {
				hearing[0].sendARP(a.ns, at.MAC, netip.MustParseAddr("192.0.2.99"), past)
				hearing[0].sendARP(a.ns, at.MAC, own, false)
				for _, in := range hearing {
					if got := in.nextSender(); got != own {
						t.Errorf("past %t: a sibling hears %s, want only the container's own address", past, got)
					}
				}
			}
			found, err := d.Maps().Violations(at.Slot)
			if n := found[specs.IPSpoof]; err != nil || n != (specs.Broken{Packets: 2, Dropped: 2}) {
				t.Errorf("%+v, %v; want 2 frames", found, err)
			}
			hearing[0].sendARP(c.ns, at.MAC, h.firstOf("c").Addresses[0].Addr(), false)
			if got := hearing[0].nextSender(); got != h.firstOf("c").Addresses[0].Addr() {
				t.Errorf("b hears %s, want the address of c", got)
			}
		})
	}
}

// arpHearing receives ARP requests in a namespace.
type arpHearing struct {
	testing.TB
	fd int
}

func hearARP(t testing.TB, ns *testnet.NS) arpHearing {
	t.Helper()
	h := arpHearing{t, -1}
	index := testnet.Link(t, ns, "net1").Attrs().Index
	testnet.In(t, ns, func() { h.fd = packetSocket(t, index) })
	return h
}

func packetSocket(t testing.TB, index int) int {
	t.Helper()
	const arp = 0x0608 // ETH_P_ARP in network order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: arp, Ifindex: index})
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: int64(time.Minute / time.Second)})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// sendARP broadcasts a request for 192.0.2.250 from an interface net1, with any sender address.
// If past is set, the frame passes the programs of that interface by.
func (h arpHearing) sendARP(ns *testnet.NS, mac specs.MAC, sender netip.Addr, past bool) {
	h.Helper()
	frame := append([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, mac[:]...)
	frame = append(frame, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1)
	frame = append(append(frame, mac[:]...), sender.AsSlice()...)
	frame = append(frame, 0, 0, 0, 0, 0, 0, 192, 0, 2, 250)
	index := testnet.Link(h, ns, "net1").Attrs().Index
	testnet.In(h, ns, func() {
		fd := packetSocket(h, index)
		if past {
			if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
				h.Fatal(err)
			}
		}
		err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index})
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // which a dropped frame gets
			h.Fatal(err)
		}
	})
}

// nextSender returns the sender address of the next request for 192.0.2.250.
func (h arpHearing) nextSender() netip.Addr {
	h.Helper()
	buffer := make([]byte, 100)
	for {
		n, _, err := unix.Recvfrom(h.fd, buffer, 0)
		if err != nil {
			h.Fatal(err)
		}
		if n >= 42 && buffer[21] == 1 && buffer[41] == 250 {
			return netip.AddrFrom4([4]byte(buffer[28:32]))
		}
	}
}
