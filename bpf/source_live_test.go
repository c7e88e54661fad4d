package bpf

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

var (
	ip6LAN   = netip.MustParseAddr("2001:db8::2")
	ip6Link  = netip.MustParseAddr("fe80::a")
	ip6LinkB = netip.MustParseAddr("fe80::b")
	ip6Route = netip.MustParseAddr("fe80::1") // a router's
	ip6Group = netip.MustParseAddr("ff02::1")
	ipZero   = netip.IPv4Unspecified()
	ip6Zero  = netip.IPv6Unspecified()
)

// udpHeader returns the beginning of a UDP header, of a datagram of 50 bytes.
func udpHeader(from, to uint16) []byte {
	p := binary.BigEndian.AppendUint16(nil, from)
	return append(binary.BigEndian.AppendUint16(p, to), make([]byte, 46)...)
}

func udp4(from netip.Addr, port uint16) []byte {
	return ethernet(macLAN, macA, 0x800, ip4(17, from, ipLAN, udpHeader(port, 68)))
}

func udp6(from netip.Addr, port uint16) []byte {
	return ethernet(macLAN, macA, 0x86dd, ip6(17, from, ip6LAN, udpHeader(port, 546)))
}

func arpOf(sender, target netip.Addr) []byte {
	return ethernet(macAll, macA, 0x806, arpFor(sender, target))
}

// icmp6 returns a message of a type, with an address after its first 8 bytes.
func icmp6(from netip.Addr, kind byte, target netip.Addr) []byte {
	message := append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, target.AsSlice()...)
	return ethernet(macGroup, macA, 0x86dd, ip6(58, from, ip6Group, append(message, make([]byte, 16)...)))
}

// withByte returns a frame with one byte changed.
func withByte(frame []byte, at int, to byte) []byte {
	frame[at] = to
	return frame
}

// hopByHop inserts an extension header before the payload of an IPv6 frame.
func hopByHop(frame []byte) []byte {
	inserted := append([]byte{frame[20], 0, 1, 4, 0, 0, 0, 0}, frame[54:]...)
	return withByte(append(frame[:54:54], inserted...), 20, 0)
}

// shiftedFrame returns a frame whose header, read 4 bytes too early, has A's address.
func shiftedFrame(frame []byte) []byte {
	frame[14+5] = 6 // as the protocol
	copy(frame[14+8:], ipA.AsSlice())
	return frame
}

// sources has frames that A sends, and the kind of each if A was assigned ipA and ip6A.
var sources = map[string]struct {
	frame []byte
	kind  specs.Kind
}{
	"IPv4":                              {udp4(ipA, 9), ""},
	"IPv4, the second":                  {udp4(ipGroup, 9), ""},
	"IPv4, a sibling's":                 {udp4(ipB, 9), specs.IPSpoof},
	"IPv4, nobody's":                    {udp4(ipLAN, 9), specs.IPSpoof},
	"IPv4, none":                        {udp4(ipZero, 68), ""},
	"IPv4 with options":                 {withByte(ethernet(macLAN, macA, 0x800, ip4(17, ipA, ipLAN, make([]byte, 60))), 14, 0x46), ""},
	"IPv6":                              {udp6(ip6A, 9), ""},
	"IPv6, a sibling's":                 {udp6(ip6B, 9), specs.IPSpoof},
	"IPv6, nobody's":                    {udp6(ip6LAN, 9), specs.IPSpoof},
	"IPv6, link-local":                  {udp6(ip6Link, 9), ""},
	"IPv6, link-local of a router":      {udp6(ip6Route, 9), specs.IPSpoof},
	"IPv6, link-local of a sibling":     {udp6(ip6LinkB, 9), specs.IPSpoof},
	"IPv6, the end of link-local":       {udp6(netip.MustParseAddr("febf::a"), 9), specs.IPSpoof},
	"TCP, link-local of a router":       {ethernet(macLAN, macA, 0x86dd, ip6(6, ip6Route, ip6LAN, udpHeader(1, 2))), specs.IPSpoof},
	"advertisement, link of a router":   {icmp6(ip6A, 136, ip6Route), specs.IPSpoof},
	"advertisement, link of a sibling":  {icmp6(ip6A, 136, ip6LinkB), specs.IPSpoof},
	"solicitation, link of a router":    {icmp6(ip6Route, 135, ip6LAN), specs.IPSpoof},
	"redirect, link of a router":        {icmp6(ip6Route, 137, ip6LAN), specs.IPSpoof},
	"an extension, advertisement, link": {hopByHop(icmp6(ip6A, 136, ip6Route)), specs.IPSpoof},
	"duplicate detection of a link":     {icmp6(ip6Zero, 135, ip6Link), ""},
	"IPv6, not link-local":              {udp6(netip.MustParseAddr("fec0::a"), 9), specs.IPSpoof},
	"ARP":                               {arpOf(ipA, ipLAN), ""},
	"ARP, a probe":                      {arpOf(ipZero, ipLAN), ""},
	"ARP, nobody's":                     {arpOf(ipLAN, ipA), specs.IPSpoof},
	"solicitation":                      {icmp6(ip6A, 135, ip6LAN), ""},
	"solicitation, nobody's":            {icmp6(ip6LAN, 135, ip6A), specs.IPSpoof},
	"duplicate detection":               {icmp6(ip6Zero, 135, ip6LAN), ""},
	"advertisement":                     {icmp6(ip6A, 136, ip6A), ""},
	"advertisement, link":               {icmp6(ip6Link, 136, ip6Link), ""},
	"advertisement, nobody's":           {icmp6(ip6Link, 136, ip6LAN), specs.IPSpoof},
	"not IP":                            {plainFrame(macLAN, macA), ""},
	"a VLAN of its own":                 {tagFrame(7, udp4(ipLAN, 9)), ""},
	"DHCP server":                       {udp4(ipA, 67), specs.RogueDHCP},
	"DHCP client":                       {udp4(ipA, 68), ""},
	"DHCP server with options":          {withByte(ethernet(macLAN, macA, 0x800, ip4(17, ipA, ipLAN, append(make([]byte, 4), udpHeader(67, 68)...))), 14, 0x46), specs.RogueDHCP},
	"67 in a later fragment":            {withByte(udp4(ipA, 67), 21, 9), ""},
	"67 in the first fragment":          {withByte(udp4(ipA, 67), 20, 0x20), specs.RogueDHCP},
	"67 of TCP":                         {ethernet(macLAN, macA, 0x800, ip4(6, ipA, ipLAN, udpHeader(67, 9))), ""},
	"DHCP server in a VLAN":             {tagFrame(7, udp4(ipA, 67)), specs.RogueDHCP},
	"DHCPv6 server":                     {udp6(ip6Link, 547), specs.RogueDHCP},
	"DHCPv6 client":                     {udp6(ip6Link, 546), ""},
	"router advertisement":              {icmp6(ip6Link, 134, ip6Zero), specs.RogueRA},
	"behind an extension":               {hopByHop(icmp6(ip6Link, 134, ip6Zero)), specs.RogueRA},
	"IPv4 in VLAN 0":                    {tagFrame(0, udp4(ipLAN, 9)), specs.IPSpoof},
	"IPv4 in VLAN 0 twice":              {tagFrame(0, tagFrame(0, udp4(ipLAN, 9))), specs.IPSpoof},
	"IPv4, read 4 bytes early":          {tagFrame(0, shiftedFrame(udp4(ipLAN, 9))), specs.IPSpoof},
	"a server in VLAN 0 twice":          {tagFrame(0, tagFrame(0, udp4(ipA, 67))), specs.RogueDHCP},
	"a server in VLANs 7, 0":            {tagFrame(7, tagFrame(0, udp4(ipA, 67))), specs.RogueDHCP},
	"a reply of DHCP":                   {withByte(udp4(ipA, 1067), 42, 2), specs.RogueDHCP},
	"a reply of DHCPv6":                 {withByte(udp6(ip6A, 1547), 62, 7), specs.RogueDHCP},
	"router behind a fragment":          {withExtensions6(44)(icmp6(ip6Link, 134, ip6Zero))[0], specs.RogueRA},
	"router behind five":                {withExtensions6(0, 60, 43, 60, 51)(icmp6(ip6Link, 134, ip6Zero))[0], specs.RogueRA},
	"DHCPv6 behind a fragment":          {withExtensions6(44)(udp6(ip6Link, 547))[0], specs.RogueDHCP},
	"router solicitation":               {icmp6(ip6Link, 133, ip6Zero), ""},
	"a report of groups":                {hopByHop(icmp6(ip6Link, 143, ip6Zero)), ""},
}

// sourceBench has endpoint A, which was assigned addresses.
func sourceBench(t *testing.T) (*bench, Endpoint) {
	x := newBench(t, specs.ModeBridge, specs.ModeBridge)
	b := Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: x.cookie + 1, Addresses: []netip.Addr{ipB, ip6B}, LinkLocal: ip6LinkB}
	x.mustRegister(b)
	a := Endpoint{Slot: slotA, MAC: macA, Mode: specs.ModeBridge, Cookie: x.cookie, Addresses: []netip.Addr{ipA, ipGroup, ip6A}, LinkLocal: ip6Link}
	x.mustRegister(a)
	return x, a
}

// TestSources checks each frame, to the wire and to a sibling, with and without enforcement.
func TestSources(t *testing.T) {
	t.Parallel()
	x, a := sourceBench(t)
	for _, enforce := range [][]specs.Kind{nil, {specs.IPSpoof, specs.RogueDHCP, specs.RogueRA}} {
		a.Enforce = enforce
		x.mustRegister(a)
		for name, c := range sources {
			for _, w := range ways {
				frame := append([]byte(nil), c.frame...)
				if w == ingress {
					copy(frame, macB[:])
				}
				j := x.judgeFrame(w, frame)
				if !j.onlyViolation(slotA, c.kind) || j.drop != (enforce != nil && c.kind != "") {
					t.Errorf("%s, %s, enforce %v: %+v, want %q", name, w, enforce, j, c.kind)
				}
				if got := x.counters(slotA); j.drop == (got != none) {
					t.Errorf("%s, %s: dropped %t, and counted %+v", name, w, j.drop, got)
				}
			}
		}
	}
}

// isOfLink reports whether a frame of sources forges a link-local address.
func isOfLink(name string) bool {
	return strings.Contains(name, "link") && name != "IPv6, not link-local"
}

// TestSourcesAllowed checks the exceptions of a network.
func TestSourcesAllowed(t *testing.T) {
	t.Parallel()
	x, given := sourceBench(t)
	for _, c := range []struct {
		name   string
		change func(*Endpoint)
		never  func(name string, kind specs.Kind) bool // is then no violation
	}{
		{"no addresses", func(e *Endpoint) { e.Addresses = nil }, func(_ string, k specs.Kind) bool { return k == specs.IPSpoof }},
		{"SLAAC", func(e *Endpoint) { e.IPv6 = specs.IPv6SLAAC }, func(name string, k specs.Kind) bool {
			return k == specs.IPSpoof && name != "ARP, nobody's" && name[:4] != "IPv4" && !isOfLink(name)
		}},
		{"link-local unknown", func(e *Endpoint) { e.LinkLocal = netip.Addr{} }, func(name string, k specs.Kind) bool {
			return k == specs.IPSpoof && isOfLink(name)
		}},
		{"DHCP server", func(e *Endpoint) { e.Allow = []specs.Allowance{specs.AllowDHCPServer} }, func(_ string, k specs.Kind) bool { return k == specs.RogueDHCP }},
		{"router", func(e *Endpoint) { e.Allow = []specs.Allowance{specs.AllowRouter} }, func(name string, k specs.Kind) bool {
			return k == specs.RogueRA || k == specs.IPSpoof && !strings.HasPrefix(name, "ARP") && !strings.Contains(name, "adv")
		}},
	} {
		a := given
		c.change(&a)
		x.mustRegister(a)
		for name, s := range sources {
			kind := s.kind
			if kind != "" && c.never(name, kind) {
				kind = ""
			}
			if j := x.judgeFrame(egress, s.frame); !j.onlyViolation(slotA, kind) {
				t.Errorf("%s, %s: %+v, want %q", c.name, name, j, kind)
			}
		}
	}
}

// TestSourcesOfOneNamespace has a container with two interfaces on one parent, either of
// which answers for both, as Linux does.
func TestSourcesOfOneNamespace(t *testing.T) {
	t.Parallel()
	x, a := sourceBench(t)
	x.mustRegister(Endpoint{Slot: slotB, MAC: macB, Mode: specs.ModeBridge, Cookie: a.Cookie, Addresses: []netip.Addr{ipB, ip6B}})
	for name, kind := range map[string]specs.Kind{"IPv4, a sibling's": "", "IPv6, a sibling's": "", "IPv4, nobody's": specs.IPSpoof} {
		if j := x.judgeFrame(egress, sources[name].frame); !j.onlyViolation(slotA, kind) {
			t.Errorf("%s: %+v, want %q", name, j, kind)
		}
	}
}

// TestHostAnswersOnPassthru lets the host answer ARP on a passthru parent, with the
// container's MAC, for an address on another of its interfaces.
func TestHostAnswersOnPassthru(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a := l.container(specs.ModePassthru)
	const other = "203.0.113.9"
	testnet.Up(t, l.ns, "lo")
	testnet.Address(t, l.ns, "lo", other+"/32")
	testnet.Run(t, l.lan, "ip", "route", "add", other, "dev", "wire")
	sendUDP(t, l.lan, netip.MustParseAddr(other), 1, 100)
	testnet.Eventually(t, "the host has answered", func() bool {
		return strings.Contains(testnet.Run(t, l.lan, "ip", "neighbour", "show", other), a.MAC.String())
	})
	if found := l.brokenKinds(a.Slot); len(found) != 0 {
		t.Errorf("what the host has said is the container's: %v", found)
	}
	testnet.Address(t, a.NS, "net1", "192.0.2.99/24")
	inbox := newInbox(t, l.lan)
	sendFrom(t, a.NS, netip.MustParseAddr("192.0.2.99"), ipLAN)
	inbox.readUntil(netip.MustParseAddr("192.0.2.99"))
	if found := l.brokenKinds(a.Slot); len(found) != 1 || found[specs.IPSpoof].Packets != 1 {
		t.Errorf("the container's own: %v, want one ip-spoof", found)
	}
}

// TestAddedAddress adds an address in a real container, and sends from it to the wire and
// to a sibling; if the kind is enforced, nothing arrives but the datagrams from its own
// address, also while no agent runs.
func TestAddedAddress(t *testing.T) {
	t.Parallel()
	l := newLab(t, Options{})
	a, b := l.container(specs.ModeBridge), l.container(specs.ModeBridge)
	befriend(a, b)
	testnet.Address(t, a.NS, "net1", "192.0.2.99/24")
	added := netip.MustParseAddr("192.0.2.99")
	for i, to := range []struct {
		ns *testnet.NS
		ip netip.Addr
		w  string
	}{{l.lan, ipLAN, "egress"}, {b.NS, b.ip, "ingress"}} {
		inbox := newInbox(t, to.ns)
		for _, enforce := range []bool{false, true} {
			a.Enforce = nil
			if enforce {
				a.Enforce = []specs.Kind{specs.IPSpoof}
			}
			must(t, l.maps.Register(a.Endpoint))
			must(t, l.maps.Zero(a.Slot))
			sendFrom(t, a.NS, added, to.ip)
			e := l.readEvent()
			if e.Kind != specs.IPSpoof || e.Sender != a.Slot || e.Counted != a.Slot || e.Owner != 0 || e.Direction != to.w || e.Dropped != enforce {
				t.Errorf("%d, enforce %t: %+v", i, enforce, e)
			}
			sendFrom(t, a.NS, a.ip, to.ip)
			if had := inbox.readUntil(a.ip)[added]; had == enforce { // its own was sent after the other
				t.Errorf("%d, enforce %t: what is not its own arrives: %t", i, enforce, had)
			}
		}
	}
}

// inbox is a socket that receives datagrams.
type inbox struct {
	testing.TB
	fd int
}

// newInbox receives the datagrams to port 1009 of a namespace.
func newInbox(t testing.TB, ns *testnet.NS) *inbox {
	t.Helper()
	in := &inbox{TB: t}
	testnet.In(t, ns, func() {
		var err error
		in.fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		must(t, unix.Bind(in.fd, &unix.SockaddrInet4{Port: 1009}))
	})
	t.Cleanup(func() { _ = unix.Close(in.fd) })
	return in
}

// readUntil waits for a datagram from an address, and returns the sources of those that came
// before it.
func (in *inbox) readUntil(want netip.Addr) map[netip.Addr]bool {
	in.Helper()
	from := make(map[netip.Addr]bool)
	testnet.Eventually(in, "a datagram", func() bool {
		_, at, err := unix.Recvfrom(in.fd, make([]byte, 100), 0)
		if err != nil {
			return false
		}
		from[netip.AddrFrom4(at.(*unix.SockaddrInet4).Addr)] = true
		return from[want]
	})
	return from
}

// sendFrom sends a datagram from an address to port 1009 of another.
func sendFrom(t testing.TB, ns *testnet.NS, from, to netip.Addr) {
	t.Helper()
	testnet.In(t, ns, func() {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(fd)
		must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: from.As4()}))
		must(t, unix.Sendto(fd, make([]byte, 20), 0, &unix.SockaddrInet4{Port: 1009, Addr: to.As4()}))
	})
}
