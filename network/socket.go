package network

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// socket is one rtnetlink socket. It serialises its requests. It blocks and does not
// use os.File: the kernel answers while the request is sent, so Go's poller has
// nothing to wait for.
type socket struct {
	fd   int
	port uint32 // the socket's own address

	mu     sync.Mutex
	seq    uint32
	buffer []byte // for times in which another socket uses sharedBuffer
	chunk  []byte // the rest of the memory for copies of small answers
}

// Bounds of one message: the wait for an answer, which the kernel sends at once, and
// its size in bytes. A dump comes in parts of at most 32 KiB (netlink_dump in
// net/netlink/af_netlink.c).
var timeout = unix.Timeval{Sec: 10}

const maxMessage = 64 << 10

// Copies of answers of up to smallAnswer bytes share chunks of memory. Each of another size
// would take a page of its own from Go's allocator.
const (
	smallAnswer = 4 << 10
	chunkSize   = 16 << 10
)

// firstChunk is the chunk of the first socket: memory without the tables of Go's allocator.
var (
	firstChunk [chunkSize]byte
	firstTaken atomic.Bool
)

// sharedBuffer is for the sockets of a process that receive one after the other, as those of a
// hook do; sharedBusy is set while one uses it, and the others then use their own. Large memory of
// Go's allocator would take four pages beside its own.
var (
	sharedBuffer [maxMessage]byte
	sharedBusy   atomic.Bool
)

// ErrInterrupted is returned for a list that changed each time while it was read.
var ErrInterrupted = errors.New("the list changed while it was read")

// openSocket opens rtnetlink with a socket that create creates.
func openSocket(create func(family, kind, protocol int) (int, error)) (*socket, error) {
	fd, err := create(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("open rtnetlink: %w", err)
	}
	s := &socket{fd: fd}
	if firstTaken.CompareAndSwap(false, true) {
		s.chunk = firstChunk[:]
	}
	err = errors.Join(
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}),
		unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout))
	if err == nil {
		s.port, err = portID(fd)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("set up rtnetlink: %w", err)
	}
	return s, nil
}

// close closes the socket once, after any pending request.
func (s *socket) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd >= 0 {
		unix.Close(s.fd)
	}
	s.fd = -1
}

func portID(fd int) (uint32, error) {
	own, err := unix.Getsockname(fd)
	if err != nil {
		return 0, err
	}
	return own.(*unix.SockaddrNetlink).Pid, nil
}

// request sends one request and returns copies of the payloads of the answers of type
// want. The error is the kernel's errno, with its explanation if it gives one, or
// ErrInterrupted together with the answers read.
func (s *socket) request(kind, flags int, want uint16, parts []nl.NetlinkRequestData) ([][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seq++
	req := nl.NetlinkRequest{
		NlMsghdr: unix.NlMsghdr{Type: uint16(kind), Flags: uint16(unix.NLM_F_REQUEST | flags), Seq: s.seq},
		Data:     parts,
	}
	to := unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := retryInterrupted(func() error { return unix.Sendto(s.fd, req.Serialize(), 0, &to) }); err != nil {
		return nil, err
	}
	a := answer{want: want}
	for {
		messages, err := s.receive()
		if err != nil {
			return nil, err
		}
		for header, payload := range messagesIn(messages) {
			if header.Seq != s.seq || header.Pid != s.port {
				continue // the late answer to a request that timed out
			}
			if last, err := a.addMessage(header, payload); err != nil {
				return nil, err
			} else if last && a.changed {
				return a.payloads, ErrInterrupted
			} else if last {
				return a.payloads, nil
			}
		}
	}
}

// answer collects the messages of the answer to one request.
type answer struct {
	want     uint16 // type of the messages to collect; 0 for all
	payloads [][]byte
	changed  bool // the kernel changed the list while it wrote it
}

// addMessage adds a message, and reports whether it is the answer's last. The error is that
// of the kernel.
func (a *answer) addMessage(header unix.NlMsghdr, payload []byte) (last bool, err error) {
	a.changed = a.changed || header.Flags&unix.NLM_F_DUMP_INTR != 0
	switch {
	case header.Type == unix.NLMSG_ERROR, header.Type == unix.NLMSG_DONE:
		return true, parseVerdict(header, payload)
	case a.want == 0 || header.Type == a.want:
		a.payloads = append(a.payloads, payload)
		return header.Flags&unix.NLM_F_MULTI == 0, nil
	}
	return false, nil
}

// receive returns a copy of the next datagram from the kernel. Errors: [ErrTooLong], and the
// datagram is gone: to wait for another one would take as long as the timeout.
func (s *socket) receive() ([]byte, error) {
	buffer := s.buffer
	if sharedBusy.CompareAndSwap(false, true) {
		defer sharedBusy.Store(false)
		buffer = sharedBuffer[:]
	} else if buffer == nil {
		buffer = make([]byte, maxMessage)
		s.buffer = buffer
	}
	var n int
	var from unix.Sockaddr
	err := retryInterrupted(func() (err error) {
		n, from, err = unix.Recvfrom(s.fd, buffer, unix.MSG_TRUNC) // n is the datagram's own size
		return err
	})
	if err != nil {
		return nil, err
	}
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, nil // not from the kernel
	}
	if n > len(buffer) {
		return nil, ErrTooLong
	}
	return s.copyAnswer(buffer[:n]), nil
}

func (s *socket) copyAnswer(b []byte) []byte {
	if len(b) > smallAnswer {
		return slices.Clone(b)
	}
	if len(b) > len(s.chunk) {
		s.chunk = make([]byte, chunkSize)
	}
	own := s.chunk[:len(b):len(b)]
	s.chunk = s.chunk[len(b):]
	copy(own, b)
	return own
}

func retryInterrupted(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// messagesIn iterates over netlink messages: a header, the payload, padding to four
// bytes (include/uapi/linux/netlink.h). It stops at a message that does not fit.
func messagesIn(b []byte) func(yield func(unix.NlMsghdr, []byte) bool) {
	read := binary.NativeEndian
	return func(yield func(unix.NlMsghdr, []byte) bool) {
		for len(b) >= unix.SizeofNlMsghdr {
			h := unix.NlMsghdr{
				Len: read.Uint32(b), Type: read.Uint16(b[4:]), Flags: read.Uint16(b[6:]),
				Seq: read.Uint32(b[8:]), Pid: read.Uint32(b[12:]),
			}
			size := int(h.Len)
			if size < unix.SizeofNlMsghdr || size > len(b) || !yield(h, b[unix.SizeofNlMsghdr:size]) {
				return
			}
			b = b[min((size+3)&^3, len(b)):]
		}
	}
}

// parseVerdict parses the end of an answer: an errno; in an NLMSG_ERROR the request (only
// its header with NLM_F_CAPPED); and with NLM_F_ACK_TLVS attributes, one of which is
// the explanation (netlink_ack_tlv_fill in net/netlink/af_netlink.c).
func parseVerdict(h unix.NlMsghdr, b []byte) error {
	if len(b) < 4 {
		return nil // an NLMSG_DONE may be empty
	}
	errno := -int32(binary.NativeEndian.Uint32(b))
	if errno <= 0 {
		return nil
	}
	err := unix.Errno(errno)
	if h.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return err
	}
	b = b[4:]
	if h.Type == unix.NLMSG_ERROR {
		if len(b) < unix.SizeofNlMsghdr {
			return err
		}
		echoed := unix.SizeofNlMsghdr
		if h.Flags&unix.NLM_F_CAPPED == 0 {
			echoed = int(binary.NativeEndian.Uint32(b)+3) &^ 3
		}
		b = b[min(max(echoed, 0), len(b)):]
	}
	for kind, v := range attributes(b) {
		if kind == unix.NLMSGERR_ATTR_MSG {
			return fmt.Errorf("%w: %s", err, unix.ByteSliceToString(v))
		}
	}
	return err
}
