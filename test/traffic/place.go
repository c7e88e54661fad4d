package traffic

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"berth/test/lab"

	"golang.org/x/sys/unix"
)

// A Place is a network namespace with addresses on one interface.
type Place struct {
	Path   string // of the namespace
	IfName string
	V4, V6 netip.Addr // invalid if the place has none
}

// patience is the deadline of every exchange.
const patience = 10 * time.Second

// within calls the function Within with the place's namespace.
func (p Place) within(fn func() error) error { return Within(p.Path, fn) }

// Within calls fn on a thread in the network namespace with the given path. The thread
// ends afterwards. Sockets that fn opens stay in the namespace; goroutines that it starts
// do not run there.
func Within(path string, fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.Setns(fd, unix.CLONE_NEWNET), unix.Close(fd))
		}
		if err == nil {
			err = fn()
		}
		done <- err
	}()
	return <-done
}

// families returns pairs of addresses, one for each IP version that both places have.
func families(a, b Place) (all [][2]netip.Addr) {
	if a.V4.IsValid() && b.V4.IsValid() {
		all = append(all, [2]netip.Addr{a.V4, b.V4})
	}
	if a.V6.IsValid() && b.V6.IsValid() {
		all = append(all, [2]netip.Addr{a.V6, b.V6})
	}
	return all
}

// Stream sends bytes by TCP and receives as many, with every IP version that both places
// have.
func Stream(from, to Place, bytes int64) error {
	for _, pair := range families(from, to) {
		if err := stream(from, to, pair[1], bytes); err != nil {
			return fmt.Errorf("TCP from %s to %s: %w", pair[0], pair[1], err)
		}
	}
	return nil
}

func stream(from, to Place, addr netip.Addr, bytes int64) error {
	var l net.Listener
	if err := to.within(func() (err error) {
		l, err = net.Listen("tcp", netip.AddrPortFrom(addr, 0).String())
		return err
	}); err != nil {
		return err
	}
	defer l.Close()
	served := make(chan error, 1)
	go func() { served <- serveStream(l, bytes) }()
	var c net.Conn
	if err := from.within(func() (err error) {
		c, err = net.DialTimeout("tcp", l.Addr().String(), patience)
		return err
	}); err != nil {
		return err
	}
	defer c.Close()
	err := errors.Join(c.SetDeadline(time.Now().Add(patience)), sendAndReceive(c, bytes))
	return errors.Join(err, <-served)
}

func serveStream(l net.Listener, bytes int64) error {
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	return errors.Join(c.SetDeadline(time.Now().Add(patience)), sendAndReceive(c, bytes))
}

// sendAndReceive sends and receives at once.
func sendAndReceive(c net.Conn, bytes int64) error {
	sent := make(chan error, 1)
	go func() {
		_, err := io.CopyN(c, zeros{}, bytes)
		sent <- err
	}()
	_, err := io.CopyN(io.Discard, c, bytes)
	return errors.Join(err, <-sent)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// Ask sends n datagrams of a size and receives each back, with every IP version that both
// places have. Sizes above the MTU are sent in fragments.
func Ask(from, to Place, n, size int) error {
	for _, pair := range families(from, to) {
		if err := sendRequests(from, to, pair[1], n, size); err != nil {
			return fmt.Errorf("UDP from %s to %s: %w", pair[0], pair[1], err)
		}
	}
	return nil
}

// echoDatagrams sends each datagram back until the socket is closed.
func echoDatagrams(server *net.UDPConn, size int) {
	buf := make([]byte, size)
	for {
		got, back, err := server.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, _ = server.WriteToUDPAddrPort(buf[:got], back) // the other end detects a loss
	}
}

func sendRequests(from, to Place, addr netip.Addr, n, size int) error {
	var server *net.UDPConn
	if err := to.within(func() (err error) {
		server, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
		return err
	}); err != nil {
		return err
	}
	defer server.Close()
	go echoDatagrams(server, size)
	var client *net.UDPConn
	if err := from.within(func() (err error) {
		client, err = net.DialUDP("udp", nil, server.LocalAddr().(*net.UDPAddr))
		return err
	}); err != nil {
		return err
	}
	defer client.Close()
	buf := make([]byte, size)
	for range n {
		if err := client.SetDeadline(time.Now().Add(patience)); err != nil {
			return err
		}
		if _, err := client.Write(buf); err != nil {
			return err
		}
		if _, err := client.Read(buf); err != nil {
			return err
		}
	}
	return nil
}

// Shout sends n datagrams to a multicast group or the broadcast address. They need no
// receiver.
func Shout(from Place, to netip.AddrPort, n int) error {
	return from.within(func() error {
		if to.Addr().Is6() {
			to = netip.AddrPortFrom(to.Addr().WithZone(from.IfName), to.Port())
		}
		var local *net.UDPAddr
		if to.Addr().Is4() && from.V4.IsValid() {
			local = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from.V4, 0))
		}
		c, err := net.DialUDP("udp", local, net.UDPAddrFromAddrPort(to))
		if err != nil {
			return fmt.Errorf("UDP to %s: %w", to, err)
		}
		defer c.Close()
		for range n {
			if _, err := c.Write(make([]byte, 100)); err != nil {
				return fmt.Errorf("UDP to %s: %w", to, err)
			}
		}
		return nil
	})
}

// Join becomes a member of a multicast group until the result is closed.
func (p Place) Join(group netip.AddrPort) (c io.Closer, err error) {
	err = p.within(func() error {
		ifi, err := net.InterfaceByName(p.IfName)
		if err != nil {
			return err
		}
		c, err = net.ListenMulticastUDP("udp", ifi, net.UDPAddrFromAddrPort(group))
		return err
	})
	return c, err
}

// Advertise sends a router advertisement with a prefix of /64 to all nodes (RFC
// 4861 section 4.2, with the option of section 4.6.2).
func (p Place) Advertise(prefix netip.Prefix) error {
	option := []byte{3, 4, 64, 0xc0, 0, 0, 0x0e, 0x10, 0, 0, 0x0e, 0x10, 0, 0, 0, 0}
	message := append([]byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}, option...)
	message = append(message, prefix.Addr().AsSlice()...)
	return p.within(func() error {
		ifi, err := net.InterfaceByName(p.IfName)
		if err != nil {
			return err
		}
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMPV6)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
			return err
		}
		return unix.Sendto(fd, message, 0, &unix.SockaddrInet6{ZoneId: uint32(ifi.Index),
			Addr: netip.MustParseAddr("ff02::1").As16()})
	})
}

// readAddresses reads the addresses of the interface, except link-local ones. Flags of ip(8) restrict
// them further.
func (p *Place) readAddresses(flags ...string) error {
	out, err := p.IP(append([]string{"-o", "address", "show", "dev", p.IfName, "scope", "global"}, flags...)...)
	if err != nil {
		return err
	}
	p.V4, p.V6 = netip.Addr{}, netip.Addr{}
	for line := range strings.Lines(out) {
		fields := strings.Fields(line) // 2: net1    inet 198.51.100.2/24 …
		if len(fields) < 4 {
			continue
		}
		prefix, err := netip.ParsePrefix(fields[3])
		if err != nil {
			return err
		}
		if prefix.Addr().Is4() {
			p.V4 = prefix.Addr()
		} else {
			p.V6 = prefix.Addr()
		}
	}
	return nil
}

// waitUsable waits until the kernel has found no other user of the addresses (RFC 4862 section 5.4). No
// socket can be bound to an address before.
func (p Place) waitUsable() error {
	return lab.Eventually(patience, func() error {
		out, err := p.IP("-o", "address", "show", "dev", p.IfName, "tentative")
		if err == nil && out != "" {
			err = fmt.Errorf("addresses are still tentative: %s", out)
		}
		return err
	})
}

// IP runs ip(8) in the namespace.
func (p Place) IP(args ...string) (string, error) {
	return p.Run("ip", args...)
}

// Run runs a program in the namespace.
func (p Place) Run(name string, args ...string) (string, error) {
	return lab.Output(exec.Command("nsenter", append([]string{"--net=" + p.Path, "--", name}, args...)...))
}
