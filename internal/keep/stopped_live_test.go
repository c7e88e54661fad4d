package keep

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"

	"berth/dhcp/exchange"
	"berth/internal/testnet"
	"berth/specs"
)

// requestOf returns the DHCP message of a client in a frame, and its destination, or nil.
func requestOf(frame []byte) (*dhcpv4.DHCPv4, specs.MAC) {
	const headers = 14 + 20 + 8 // Ethernet, IPv4, UDP
	if len(frame) < headers || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP || frame[23] != unix.IPPROTO_UDP ||
		binary.BigEndian.Uint16(frame[36:]) != dhcpv4.ServerPort {
		return nil, specs.MAC{}
	}
	m, err := dhcpv4.FromBytes(frame[headers:])
	if err != nil {
		return nil, specs.MAC{}
	}
	return m, specs.MAC(frame[:6])
}

// TestStoppedPastT2 stops a keeper until T2 has passed. Its next message asks all servers for the
// lease, and no DISCOVER follows.
func TestStoppedPastT2(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	server := testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "wire", Seconds: 600,
		Options: "--dhcp-option=58,4s --dhcp-option=59,6s"})
	b := s.start("a")
	first, begun := s.record("a").DHCP[0], discovers(server)
	keeper := s.keeperProcess(testnet.NoStep)
	testnet.Eventually(t, "the lease is renewed", func() bool { return s.record("a").DHCP[0].Began > first.Began })
	if err := keeper.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	d := s.record("a").DHCP[0]
	testnet.Eventually(t, "T2 has passed", func() bool { return exchange.Now() > d.Began+d.Lease.T2.Duration() })
	wire := testnet.Capture(t, s.lan, "wire")
	if err := keeper.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	frame := wire.Next(time.Minute, func(frame []byte) bool { m, _ := requestOf(frame); return m != nil })
	m, to := requestOf(frame)
	if m == nil {
		t.Fatal("no message after the stop")
	}
	from, _ := netip.AddrFromSlice(m.ClientIPAddr.To4())
	if m.MessageType() != dhcpv4.MessageTypeRequest || to != (specs.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) ||
		from != d.Lease.Address.Addr() || m.ServerIdentifier() != nil {
		t.Errorf("the first message, to %s: %s", to, m.Summary())
	}
	testnet.Eventually(t, "the lease is renewed again", func() bool { return s.record("a").DHCP[0].Began > d.Began })
	if n := discovers(server); n != begun || !s.has(b, d.Lease.Address.String()) {
		t.Errorf("%d further DISCOVERs; %s", n-begun, s.addresses(b))
	}
}

// TestTwoServers: a LAN has two authoritative servers with a subnet each, which refuse each other's
// addresses. A container keeps the lease of one over renewals, a link that was down, and restarts.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.writeNetwork("ipam = 'dhcp'\ndhcp_release = false")
	other := testnet.Namespace(t)
	testnet.Run(t, s.lan, "ip", "link", "add", "link", "wire", "name", "eth0", "netns", other.Path(), "type", "macvlan",
		"mode", "bridge")
	testnet.Up(t, other, "eth0")
	testnet.Address(t, other, "eth0", "198.51.100.1/24")
	const times = "--dhcp-option=58,3s --dhcp-option=59,60s"
	servers := map[string]*testnet.DHCPServer{
		"192.0.2": testnet.ServeDHCP(t, s.lan, testnet.DHCPConfig{Kind: "dnsmasq", Link: "wire", Seconds: 600, Options: times}),
		"198.51.100": testnet.ServeDHCP(t, other, testnet.DHCPConfig{Kind: "dnsmasq", Link: "eth0", Seconds: 600,
			Network: "198.51.100", Options: times}),
	}
	b := s.start("a")
	address := s.record("a").Addresses[0]
	same := func(when string) {
		t.Helper()
		if got := s.record("a").Addresses; len(got) != 1 || got[0] != address || !s.has(b, address.String()) {
			t.Fatalf("%s: %v in the record, before %s; %s", when, got, address, s.addresses(b))
		}
	}
	renewed := func() {
		t.Helper()
		before := s.record("a").DHCP[0].Began
		testnet.Eventually(t, "the lease is renewed", func() bool { return s.record("a").DHCP[0].Began > before })
	}
	keeper := s.keeperProcess(testnet.NoStep)
	renewed()
	same("after a renewal")
	refused := func() (n int) {
		for _, server := range servers {
			n += strings.Count(server.Log(), "DHCPNAK(")
		}
		return n
	}
	before := refused()
	testnet.Eventually(t, "the other server refuses the address after the link was down", func() bool {
		testnet.Run(t, testnet.Here(t), "ip", "link", "set", s.parent, "down")
		testnet.Run(t, testnet.Here(t), "ip", "link", "set", s.parent, "up")
		renewed()
		return refused() > before
	})
	same("after the link was down")
	_ = keeper.Process.Kill()
	_ = keeper.Wait()
	s.stop(b)
	for before := refused(); refused() < before+3; { // its own server is not always the first to answer
		b = s.start("a")
		same("after a restart")
		s.stop(b)
	}
}
