package network

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Handle is an rtnetlink socket in one network namespace. Its methods may be
// called concurrently.
type Handle struct {
	socket *socket
	shared bool // it belongs to a Namespace, which closes it
	strict bool // the kernel filters dumps by the request's header
}

// NewHandle opens rtnetlink in the namespace of the calling thread: in berth, the
// host's.
func NewHandle() (*Handle, error) {
	s, err := openSocket(unix.Socket)
	if err != nil {
		return nil, err
	}
	return &Handle{socket: s}, nil
}

// NewStrictHandle opens rtnetlink in the namespace of the calling thread, for
// frequent dumps of addresses in other namespaces: AddressesIn of any other
// handle enters the handle's own namespace each time, which needs a privilege.
func NewStrictHandle() (*Handle, error) {
	h, err := NewHandle()
	if err != nil {
		return nil, err
	}
	if err := h.setStrict(); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

// setStrict enables the kernel's strict checks of dump requests: only then does it
// honour the namespace of a request (inet_valid_dump_ifaddr_req in
// net/ipv4/devinet.c). Linux 4.20.
func (h *Handle) setStrict() error {
	// A dump may end with an explanation, which is not needed here.
	err := errors.Join(
		unix.SetsockoptInt(h.fd(), unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 0),
		unix.SetsockoptInt(h.fd(), unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1))
	if err != nil {
		return fmt.Errorf("set up rtnetlink: %w", err)
	}
	h.strict = true
	return nil
}

// Close closes the socket.
func (h *Handle) Close() {
	if !h.shared {
		h.close()
	}
}

func (h *Handle) close() { h.socket.close() }

func (h *Handle) fd() int { return h.socket.fd }

// maxDumps bounds the repetitions of a dump that changed while it was read.
const maxDumps = 20

// request sends one request and returns the payloads of the answers of type want. It
// repeats a dump that changed while it was read (NLM_F_DUMP_INTR). The error is
// the kernel's errno, with its explanation if it gives one.
func (h *Handle) request(kind, flags int, want uint16, parts ...nl.NetlinkRequestData) ([][]byte, error) {
	for attempt := 1; ; attempt++ {
		answers, err := h.socket.request(kind, flags, want, parts)
		if err != ErrInterrupted || attempt == maxDumps {
			return answers, err
		}
	}
}

// requestAck sends one request and waits for the kernel's acknowledgement.
func (h *Handle) requestAck(kind, flags int, parts ...nl.NetlinkRequestData) error {
	_, err := h.request(kind, flags|unix.NLM_F_ACK, 0, parts...)
	return err
}

// requestDump returns all objects of a kind.
func (h *Handle) requestDump(kind int, want uint16, parts ...nl.NetlinkRequestData) ([][]byte, error) {
	return h.request(kind, unix.NLM_F_DUMP, want, parts...)
}
