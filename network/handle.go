package network

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Handle is rtnetlink in one network namespace, by one socket. Its methods may
// be called concurrently.
type Handle struct {
	sockets map[int]*nl.SocketHandle
	shared  bool // belongs to a Namespace, which closes it
}

// timeout bounds one netlink message, because the kernel answers at once.
var timeout = unix.Timeval{Sec: 10}

// NewHandle opens rtnetlink in the namespace that the calling thread is in:
// the host's, for berth.
func NewHandle() (*Handle, error) {
	s, err := nl.Subscribe(unix.NETLINK_ROUTE) // to no group
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	err = errors.Join(s.SetExtAck(true), s.SetSendTimeout(&timeout), s.SetReceiveTimeout(&timeout))
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("set up rtnetlink: %w", err)
	}
	return &Handle{sockets: map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: {Socket: s}}}, nil
}

// Close closes the socket.
func (h *Handle) Close() {
	if !h.shared {
		h.close()
	}
}

func (h *Handle) close() { h.sockets[unix.NETLINK_ROUTE].Close() }

func (h *Handle) fd() int { return h.sockets[unix.NETLINK_ROUTE].Socket.GetFd() }

// maxDumps bounds how often a dump that the kernel interrupted is repeated.
const maxDumps = 20

// do sends one request and returns the payload of the answers of type want. A
// dump that changed while it was read (NLM_F_DUMP_INTR) is read again. The
// error is the kernel's errno, with its explanation where it gives one.
func (h *Handle) do(kind, flags int, want uint16, parts ...nl.NetlinkRequestData) ([][]byte, error) {
	for attempt := 1; ; attempt++ {
		req := nl.NetlinkRequest{
			NlMsghdr: unix.NlMsghdr{Type: uint16(kind), Flags: uint16(unix.NLM_F_REQUEST | flags)},
			Data:     parts,
			Sockets:  h.sockets,
		}
		answers, err := req.Execute(unix.NETLINK_ROUTE, want)
		if !errors.Is(err, nl.ErrDumpInterrupted) || attempt == maxDumps {
			return answers, err
		}
	}
}

// change sends one request that the kernel acknowledges.
func (h *Handle) change(kind, flags int, parts ...nl.NetlinkRequestData) error {
	_, err := h.do(kind, flags|unix.NLM_F_ACK, 0, parts...)
	return err
}

// dump returns all objects of a kind.
func (h *Handle) dump(kind int, want uint16, parts ...nl.NetlinkRequestData) ([][]byte, error) {
	return h.do(kind, unix.NLM_F_DUMP, want, parts...)
}
