package exchange

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"berth/dhcp"
	"berth/network"
	"berth/specs"
)

// Port is a packet socket that sends and receives the messages of one client on
// one interface. It holds the interface's network namespace until Close.
type Port struct {
	file *os.File
	mac  specs.MAC
	from netip.Addr // the interface's link-local address, or zero if it has none
	at   unix.SockaddrLinklayer
}

// Open opens a port for a family on an interface of a namespace, whose index there
// is given. The interface must be up. It needs CAP_NET_RAW.
func Open(ns *network.Namespace, index int, mac specs.MAC, v6 bool) (p *Port, err error) {
	err = ns.Do(func() error {
		p, err = OpenHere(index, mac, v6)
		return err
	})
	if err == nil && v6 {
		p.from, err = linkLocalOf(ns, index)
	}
	if err != nil && p != nil {
		_ = p.Close()
		return nil, err
	}
	return p, err
}

// linkLocalOf returns the link-local address of an interface, or the zero Addr.
func linkLocalOf(ns *network.Namespace, index int) (netip.Addr, error) {
	h, err := ns.Open()
	if err != nil {
		return netip.Addr{}, err
	}
	found, err := h.LinkLocal(index)
	if err != nil {
		return found, fmt.Errorf("find the source address of DHCPv6: %w", err)
	}
	return found, nil
}

// OpenHere is Open in the namespace of the calling thread.
func OpenHere(index int, mac specs.MAC, v6 bool) (*Port, error) {
	kind, filter := uint16(unix.ETH_P_IP), filter4
	if v6 {
		kind, filter = unix.ETH_P_IPV6, filter6
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open packet socket for DHCP: %w", err)
	}
	p := &Port{mac: mac, at: unix.SockaddrLinklayer{Protocol: bigEndian(kind), Ifindex: index}}
	program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program)
	if err == nil { // bound only now, so that it receives no other frames
		err = unix.Bind(fd, &p.at)
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("set up packet socket for DHCP: %w", err)
	}
	p.file = os.NewFile(uintptr(fd), "dhcp")
	return p, nil
}

// Close closes the socket. It waits for a grace period of RCU, 8 to 16 ms.
func (p *Port) Close() error { return p.file.Close() }

// Send sends a message. If the link was down since, the socket is bound again: the
// kernel unbinds it then (packet_notifier in net/packet/af_packet.c).
func (p *Port) Send(a dhcp.Action) error {
	if p.from.IsValid() && a.From.Is6() {
		a.From = p.from
	}
	frame := frameOf(p.mac, a)
	to := p.at
	raw, err := p.file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		if sent = unix.Sendto(int(fd), frame, 0, &to); sent == nil {
			return
		}
		if unix.Bind(int(fd), &p.at) == nil {
			sent = unix.Sendto(int(fd), frame, 0, &to)
		}
	})
	if err = errors.Join(err, sent); err != nil {
		return fmt.Errorf("send DHCP %s: %w", a.Type, err)
	}
	return nil
}

// SendOnce sends a message from an interface of the calling thread's namespace, for
// which no reply is expected.
func SendOnce(index int, mac specs.MAC, a dhcp.Action) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("send DHCP %s: %w", a.Type, err)
	}
	frame := frameOf(mac, a)
	to := &unix.SockaddrLinklayer{Protocol: bigEndian(binary.BigEndian.Uint16(frame[12:])), Ifindex: index}
	if err := errors.Join(unix.Sendto(fd, frame, 0, to), unix.Close(fd)); err != nil {
		return fmt.Errorf("send DHCP %s: %w", a.Type, err)
	}
	return nil
}

// errNothing is returned by Receive if no message came in time.
var errNothing = errors.New("no message")

// Receive returns the next message. It waits until a time, or until the context
// ends, and then returns errNothing.
func (p *Port) Receive(ctx context.Context, until time.Time) (found dhcp.Packet, err error) {
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(until) {
		until = deadline
	}
	if err := p.file.SetReadDeadline(until); err != nil {
		return found, err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if ctx.Err() != nil {
		return found, errNothing
	}
	raw, err := p.file.SyscallConn()
	if err != nil {
		return found, err
	}
	var failed error
	err = raw.Read(func(fd uintptr) (done bool) {
		found, done, failed = receiveUntil(ctx, until, func() (dhcp.Packet, bool, bool, error) { return receive(int(fd)) })
		return done
	})
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return found, errNothing
	}
	if errors.Is(failed, errNothing) {
		return found, errNothing
	}
	if err = errors.Join(err, failed); err != nil {
		return found, fmt.Errorf("receive DHCP: %w", err)
	}
	return found, nil
}

// receiveUntil reads frames while the next one can be read at once. done is true if it found a message, if
// the socket failed, or, with errNothing, if frames that are no messages came until the time or the end of
// the context: the poller, which has the socket's deadline, is not asked between two frames.
func receiveUntil(ctx context.Context, until time.Time,
	read func() (found dhcp.Packet, done, again bool, err error)) (found dhcp.Packet, done bool, err error) {
	for {
		found, done, again, err := read()
		if !again {
			return found, done, err
		}
		if ctx.Err() != nil || !time.Now().Before(until) {
			return found, true, errNothing
		}
	}
}

// maxFrame is the size of a jumbo frame; larger ones are cut and not understood.
const maxFrame = 9216

// receive reads one frame. done is true if it is a message or if the socket failed;
// again, if the next frame can be read.
func receive(fd int) (found dhcp.Packet, done, again bool, err error) {
	frame := make([]byte, maxFrame)
	n, from, err := unix.Recvfrom(fd, frame, 0)
	switch link, ok := from.(*unix.SockaddrLinklayer); {
	case errors.Is(err, unix.EAGAIN):
		return found, false, false, nil
	case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN): // ENETDOWN is reported once
		return found, false, true, nil
	case err != nil:
		return found, true, false, err
	case !ok || link.Pkttype == unix.PACKET_OUTGOING:
		return found, false, true, nil
	}
	found, ok := packetOf(frame[:n])
	return found, ok, !ok, nil
}

// Now returns the time since the machine was started, with the time it was suspended
// for (CLOCK_BOOTTIME). No process can set it.
func Now() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) // cannot fail (clock_gettime(2))
	return time.Duration(t.Nano())
}

func bigEndian(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
