package hook

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// setDefault writes a setting of IPv6 for the interfaces that a container will get.
func setDefault(t *testing.T, b *box, name, value string) {
	t.Helper()
	testnet.Run(t, b.ns, "sh", "-c", "echo "+value+" >/proc/sys/net/ipv6/conf/default/"+name)
}

// linkLocalOf returns the link-local address that the kernel has given a container's net1, or the
// zero Addr.
func linkLocalOf(t *testing.T, b *box) (addr netip.Addr) {
	t.Helper()
	index := testnet.Link(t, b.ns, "net1").Attrs().Index
	testnet.In(t, b.ns, func() {
		h, err := network.NewHandle()
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if addr, err = h.LinkLocal(index); err != nil {
			t.Fatal(err)
		}
	})
	return addr
}

// TestLinkLocalsAreRecorded compares the link-local address of a record with that of its interface.
func TestLinkLocalsAreRecorded(t *testing.T) {
	t.Parallel()
	static := "parent = 'PARENT'\n[[subnet]]\nsubnet = '2001:db8::/64'\n"
	stable := func(t *testing.T, _ *host, b *box) { setDefault(t, b, "stable_secret", "2001:db8::5ec") }
	none := func(t *testing.T, _ *host, b *box) { setDefault(t, b, "addr_gen_mode", "1") }
	for name, c := range map[string]struct {
		network string
		prepare func(t *testing.T, h *host, b *box)
		given   bool // the interface has one
		known   bool
	}{
		"static":                 {static, nil, true, true},
		"link-local":             {"parent = 'PARENT'\nipv6 = 'link-local'\n", nil, true, true},
		"slaac":                  {"parent = 'PARENT'\nipv6 = 'slaac'\n", nil, true, true},
		"stable and opaque":      {static, stable, true, true},
		"the kernel forms none":  {static, none, false, true},
		"IPv6 off":               {lan, nil, false, true},
		"passthru":               {"parent = 'PARENT'\nmode = 'passthru'\nipv6 = 'link-local'\n", nil, true, false},
		"ipvlan":                 {"parent = 'PARENT'\ndriver = 'ipvlan'\n[[subnet]]\nsubnet = '2001:db8::/64'\n", nil, true, true},
		"ipvlan, IPv6 off":       {"driver = 'ipvlan'\n" + lan, nil, false, true},
		"no carrier on the wire": {static, func(t *testing.T, h *host, _ *box) { testnet.Run(t, h.lan, "ip", "link", "set", "wire", "down") }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(c.network, "ipvlan") {
				testnet.Need(t, testnet.IPvlan)
			}
			h := newHost(t)
			h.network("lan", c.network)
			a := h.box("a", "lan")
			if c.prepare != nil {
				c.prepare(t, h, a)
			}
			h.mustStart(a)
			has, recorded := linkLocalOf(t, a), h.firstOf("a").LinkLocal
			if has.IsValid() != c.given || recorded.IsValid() != c.known {
				t.Fatalf("the interface has %s, and the record %s", has, recorded)
			}
			if c.known && c.given && recorded != has {
				t.Errorf("the interface has %s, and the record %s", has, recorded)
			}
		})
	}
}

// listenOnLAN returns a socket for the datagrams to port 9 of a host on the LAN.
func listenOnLAN(t *testing.T, h *host) (socket *net.UDPConn) {
	t.Helper()
	testnet.In(t, h.lan, func() {
		var err error
		if socket, err = net.ListenUDP("udp6", &net.UDPAddr{Port: 9}); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = socket.Close() })
	return socket
}

// sendToAll sends a datagram to all nodes on the LAN, from an address of a container. It reports
// whether the kernel did.
func sendToAll(t *testing.T, b *box, from netip.Addr) (sent bool) {
	t.Helper()
	testnet.In(t, b.ns, func() {
		c, err := net.DialUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.WithZone("net1"), 0)),
			net.UDPAddrFromAddrPort(netip.MustParseAddrPort("[ff02::1%net1]:9")))
		if err != nil {
			return
		}
		defer c.Close()
		_, err = c.Write([]byte("from " + from.String()))
		sent = err == nil
	})
	return sent
}

// receiveOnly reports whether datagrams arrive, and requires that they are from one address.
func receiveOnly(t *testing.T, socket *net.UDPConn, from netip.Addr) bool {
	t.Helper()
	_ = socket.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	_, sender, err := socket.ReadFromUDPAddrPort(make([]byte, 100))
	if err == nil && sender.Addr().WithZone("") != from {
		t.Fatalf("the LAN received a datagram from %s, want only those from %s", sender, from)
	}
	return err == nil
}

// TestForgedLinkLocals sends datagrams to the LAN from a container's own link-local address, and
// from a router's that the container has assigned itself.
func TestForgedLinkLocals(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"static": "parent = 'PARENT'\nenforce = ['ip-spoof']\n[[subnet]]\nsubnet = '2001:db8::/64'\n",
		"slaac":  "parent = 'PARENT'\nenforce = ['ip-spoof']\nipv6 = 'slaac'\n[[subnet]]\nsubnet = '192.0.2.0/24'\n",
		"stable": "parent = 'PARENT'\nenforce = ['ip-spoof']\n[[subnet]]\nsubnet = '2001:db8::/64'\n",
		"ipvlan": "parent = 'PARENT'\ndriver = 'ipvlan'\nenforce = ['ip-spoof']\n[[subnet]]\nsubnet = '2001:db8::/64'\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "ipvlan" {
				testnet.Need(t, testnet.IPvlan)
			}
			h := newHost(t)
			d := h.pinDatapath("auto")
			h.network("lan", text)
			a := h.box("a", "lan")
			if name == "stable" {
				setDefault(t, a, "stable_secret", "2001:db8::5ec")
			}
			h.mustStart(a)
			own, forged := linkLocalOf(t, a), netip.MustParseAddr("fe80::1")
			testnet.Run(t, a.ns, "ip", "addr", "add", forged.String()+"/64", "dev", "net1", "nodad")
			receiver := listenOnLAN(t, h)
			testnet.Eventually(t, "the datagrams of the interface's own address", func() bool {
				sendToAll(t, a, forged)
				if !sendToAll(t, a, own) { // the kernel still probes for it
					return false
				}
				return receiveOnly(t, receiver, own)
			})
			broken, err := d.Maps().Violations(h.firstOf("a").Slot)
			if err != nil || broken[specs.IPSpoof].Dropped == 0 {
				t.Errorf("violations: %+v, %v", broken, err)
			}
		})
	}
}
