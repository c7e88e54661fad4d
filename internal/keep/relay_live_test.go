package keep

import (
	"os/exec"
	"strings"
	"testing"

	"berth/internal/testnet"
)

// TestRelayedLease: the server is behind a router that relays (RFC 2131 section 4.1, RFC 1542).
// The lease is renewed by unicast to the server, through the router, and given back.
func TestRelayedLease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	far := testnet.Namespace(t)
	testnet.Veth(t, "up", s.lan, "eth0", far)
	testnet.Address(t, s.lan, "up", "198.51.100.2/24")
	testnet.Address(t, far, "eth0", "198.51.100.1/24")
	testnet.Run(t, far, "ip", "route", "add", "192.0.2.0/24", "via", "198.51.100.2")
	testnet.Run(t, s.lan, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward")
	server := testnet.ServeDHCP(t, far, testnet.DHCPConfig{Kind: "dnsmasq", Link: "eth0", Seconds: 600,
		Options: "--dhcp-option=58,3s --dhcp-option=59,300s --dhcp-option=3,192.0.2.1"})
	relay := exec.Command(testnet.Program(t, "dnsmasq"), "--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--port=0",
		"--user=root", "--group=root", "--pid-file=", "--dhcp-leasefile="+t.TempDir()+"/leases",
		"--dhcp-relay=192.0.2.1,198.51.100.1")
	relay.Stdout, relay.Stderr = t.Output(), t.Output()
	var err error
	testnet.In(t, s.lan, func() { err = relay.Start() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = relay.Process.Kill()
		_ = relay.Wait()
	})
	testnet.Eventually(t, "the relay listens", func() bool {
		return strings.Contains(testnet.Run(t, s.lan, "cat", "/proc/net/udp"), ":0043 ")
	})
	b := s.start("a")
	first, begun := s.record("a").DHCP[0], discovers(server)
	if l := first.Lease; l.Server.String() != "198.51.100.1" || !s.has(b, l.Address.String()) {
		t.Errorf("lease %+v; %s", l, s.addresses(b))
	}
	s.keeper()
	testnet.Eventually(t, "the lease is renewed", func() bool { return s.record("a").DHCP[0].Began > first.Began })
	if d := s.record("a").DHCP[0]; discovers(server) != begun || d.Lease.Address != first.Lease.Address {
		t.Errorf("lease %+v, before %+v", d.Lease, first.Lease)
	}
	s.stop(b)
	testnet.Eventually(t, "the lease is given back", func() bool { return strings.Contains(server.Log(), "DHCPRELEASE(") })
}
