// Package leases is a DHCP server for tests on machines that have none: it leases addresses and
// renews them, and refuses nothing.
//
// Serve of a [Server] answers on one interface.
package leases

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"golang.org/x/sys/unix"
)

// Server leases the addresses after its own hundredth one, one for each MAC.
type Server struct {
	Link string       // the interface that it serves
	Own  netip.Prefix // its address there, the router of the clients
	Time time.Duration
	Log  io.Writer // a line for each message, and "listening"

	known map[string]netip.Addr
}

// Serve serves until an error.
func (s *Server) Serve(ctx context.Context) error {
	bind := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), s.Link) })
		return errors.Join(err, failed)
	}}
	conn, err := bind.ListenPacket(ctx, "udp4", ":67")
	if err != nil {
		return err
	}
	defer conn.Close()
	s.known = make(map[string]netip.Addr)
	fmt.Fprintln(s.Log, "listening")
	for buffer := make([]byte, 1500); ; {
		n, _, err := conn.ReadFrom(buffer)
		if err != nil {
			return err
		}
		m, err := dhcpv4.FromBytes(buffer[:n])
		if err != nil {
			fmt.Fprintln(s.Log, "unreadable:", err)
			continue
		}
		reply, to, err := s.answer(m)
		if err == nil && reply != nil {
			_, err = conn.WriteTo(reply.ToBytes(), &net.UDPAddr{IP: to, Port: dhcpv4.ClientPort})
		}
		if err != nil {
			return err
		}
	}
}

// answer returns the reply to a message, or nil if there is none. A client without an address gets
// it by broadcast.
func (s *Server) answer(m *dhcpv4.DHCPv4) (reply *dhcpv4.DHCPv4, to net.IP, err error) {
	lease := s.addressOf(m.ClientHWAddr)
	fmt.Fprintln(s.Log, m.MessageType(), lease, m.ClientHWAddr)
	answer := dhcpv4.MessageTypeOffer
	switch m.MessageType() {
	case dhcpv4.MessageTypeDiscover:
	case dhcpv4.MessageTypeRequest:
		answer = dhcpv4.MessageTypeAck
	default:
		return nil, nil, nil
	}
	if to = m.ClientIPAddr; to.IsUnspecified() {
		to = net.IPv4bcast
	}
	own := s.Own.Addr().AsSlice()
	reply, err = dhcpv4.NewReplyFromRequest(m, dhcpv4.WithMessageType(answer), dhcpv4.WithYourIP(lease.AsSlice()),
		dhcpv4.WithOption(dhcpv4.OptServerIdentifier(own)), dhcpv4.WithNetmask(net.CIDRMask(s.Own.Bits(), 32)),
		dhcpv4.WithRouter(own), dhcpv4.WithLeaseTime(uint32(s.Time/time.Second)))
	return reply, to, err
}

// first is the distance of the first leased address from the server's.
const first = 100

func (s *Server) addressOf(mac net.HardwareAddr) netip.Addr {
	lease, ok := s.known[mac.String()]
	if !ok {
		last := s.Own.Addr().As4()
		last[3] += first + byte(len(s.known))
		lease = netip.AddrFrom4(last)
		s.known[mac.String()] = lease
	}
	return lease
}
