package testnet

import (
	"encoding/binary"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Sniffer captures the frames of one link in both directions, as tcpdump does.
type Sniffer struct {
	t    testing.TB
	file *os.File
}

// Capture starts to capture the frames of a link; earlier frames are not included.
func Capture(t testing.TB, ns *NS, name string) *Sniffer {
	t.Helper()
	index := Link(t, ns, name).Attrs().Index
	var fd int
	var err error
	In(t, ns, func() { fd, err = openCapture(index) })
	if err != nil {
		t.Fatalf("capture on %s: %v", name, err)
	}
	s := &Sniffer{t: t, file: os.NewFile(uintptr(fd), "capture "+name)}
	t.Cleanup(func() { _ = s.file.Close() })
	return s
}

func openCapture(index int) (int, error) {
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}); err == nil {
		err = unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP,
			&unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC})
	}
	if err != nil {
		_ = unix.Close(fd)
	}
	return fd, err
}

// Next returns the next frame that matches, or nil if none arrives within the time.
func (s *Sniffer) Next(within time.Duration, match func(frame []byte) bool) []byte {
	s.t.Helper()
	if err := s.file.SetReadDeadline(time.Now().Add(within)); err != nil {
		s.t.Fatal(err)
	}
	return nextFrame(s.t, s.file, match)
}
