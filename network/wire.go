package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// wire sends and receives the frames of a probe or an announcement: one packet socket
// per EtherType, for all links of a namespace at once.
type wire struct {
	fds    map[uint16]int // EtherType to packet socket
	groups int            // a socket with the memberships of IPv6 groups, or -1
}

// openWire opens the sockets that the claims need, in the namespace of the calling
// thread.
func openWire(c *claims) (*wire, error) {
	w := &wire{fds: map[uint16]int{}, groups: -1}
	var err error
	if c.hasFamily(netip.Addr.Is4) {
		err = w.listenEthertype(unix.ETH_P_ARP, nil)
	}
	if err == nil && c.hasFamily(netip.Addr.Is6) {
		if err = w.listenEthertype(unix.ETH_P_IPV6, ndFilter); err == nil {
			err = w.joinGroups(c)
		}
	}
	if err != nil {
		w.close()
		return nil, fmt.Errorf("open packet socket: %w", err)
	}
	return w, nil
}

// listenEthertype adds a socket for one EtherType. It is bound only after its filter is set,
// so that it receives no other frames.
func (w *wire) listenEthertype(kind uint16, filter []unix.SockFilter) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return err
	}
	w.fds[kind] = fd
	if filter != nil {
		program := &unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, program); err != nil {
			return err
		}
	}
	return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bigEndian(kind)})
}

// ndFilter passes ICMPv6 solicitations and advertisements; offsets are from
// the Ethernet header.
var ndFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetHeader + 6},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.IPPROTO_ICMPV6, Jf: 4},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: ethernetHeader + ipv6Header},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: ndSolicitation, Jt: 1},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: ndAdvertisement, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
}

// joinGroups joins the solicited-node group of every IPv6 address (RFC 4862 section 5.4.2).
// Without it the link, or a switch that snoops, may drop another host's probes.
func (w *wire) joinGroups(c *claims) (err error) {
	w.groups, err = unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return c.eachAddress(func(each Claimant, a netip.Addr) error {
		if !a.Is6() {
			return nil
		}
		err := unix.SetsockoptIPv6Mreq(w.groups, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: solicitedNode(a).As16(), Interface: uint32(each.Index)})
		if errors.Is(err, unix.EADDRINUSE) { // two addresses can have one group
			return nil
		}
		return err
	})
}

// sendFrame sends a frame out of a link.
func (w *wire) sendFrame(each Claimant, a netip.Addr, frame []byte) error {
	kind := binary.BigEndian.Uint16(frame[12:])
	to := &unix.SockaddrLinklayer{Ifindex: each.Index, Protocol: bigEndian(kind)}
	if err := unix.Sendto(w.fds[kind], frame, 0, to); err != nil {
		return fmt.Errorf("send a frame for %s on interface %q: %w", a, each.Name, err)
	}
	return nil
}

// receiveFrames passes all received frames to c.
func (w *wire) receiveFrames(c *claims) error {
	for _, fd := range w.fds {
		if err := drainSocket(fd, c); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
	}
	return nil
}

// drainSocket reads a packet socket until it is empty.
func drainSocket(fd int, c *claims) error {
	frame := make([]byte, 256) // more than ARP, or ND with its usual options
	for {
		n, from, err := unix.Recvfrom(fd, frame, 0)
		switch link, ok := from.(*unix.SockaddrLinklayer); {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN): // ENETDOWN: any link of the namespace
		case err != nil:
			return err
		case ok && link.Pkttype != unix.PACKET_OUTGOING:
			c.checkFrame(link.Ifindex, frame[:n])
		}
	}
}

// waitReadable returns when a frame arrives, when fd is readable, or at the time until.
func (w *wire) waitReadable(until time.Time, fd int) error {
	left := unix.NsecToTimespec(max(0, time.Until(until)).Nanoseconds())
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for _, each := range w.fds {
		fds = append(fds, unix.PollFd{Fd: int32(each), Events: unix.POLLIN})
	}
	if _, err := unix.Ppoll(fds, &left, nil); err != nil && !errors.Is(err, unix.EINTR) {
		return fmt.Errorf("poll: %w", err)
	}
	return nil
}

// close closes the sockets. Closing a packet socket waits for a grace period of RCU,
// 8 to 16 ms (packet_release in net/packet/af_packet.c).
func (w *wire) close() {
	for _, fd := range w.fds {
		_ = unix.Close(fd)
	}
	if w.groups >= 0 {
		_ = unix.Close(w.groups)
	}
}

// framesByFamily returns a function that makes the frame for an address's family.
func framesByFamily(v4, v6 func(specs.MAC, netip.Addr) []byte) func(Claimant, netip.Addr) []byte {
	return func(each Claimant, a netip.Addr) []byte {
		if a.Is4() {
			return v4(each.MAC, a)
		}
		return v6(each.MAC, a)
	}
}

func bigEndian(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}
