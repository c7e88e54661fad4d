package bpf

import (
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

const (
	ringBytes  = 4096 // of the ring, which has one frame
	ringHeader = 32   // struct tpacket2_hdr; the frame follows
	ringWanted = 1    // TP_STATUS_SEND_REQUEST
)

// sendRing is the ring of a packet socket (PACKET_TX_RING), whose frames the kernel sends from the
// memory that it shares with the process. Only the Ethernet header is copied
// (tpacket_fill_skb in net/packet/af_packet.c).
type sendRing struct {
	fd     int
	memory []byte
}

// newSendRing makes a ring of one frame on a packet socket, and binds it to an interface.
func newSendRing(t testing.TB, fd, ifindex int) *sendRing {
	t.Helper()
	must(t, unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2))
	must(t, unix.SetsockoptTpacketReq(fd, unix.SOL_PACKET, unix.PACKET_TX_RING, &unix.TpacketReq{
		Block_size: ringBytes, Block_nr: 1, Frame_size: ringBytes, Frame_nr: 1,
	}))
	memory, err := unix.Mmap(fd, 0, ringBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	must(t, err)
	t.Cleanup(func() { _ = unix.Munmap(memory) })
	must(t, unix.Bind(fd, &unix.SockaddrLinklayer{Ifindex: ifindex}))
	return &sendRing{fd, memory}
}

// sendChanged sends a frame, and writes another one of the same length over it when the kernel has
// taken it, while it waits in a queue.
func (r *sendRing) sendChanged(t testing.TB, first, second []byte) {
	t.Helper()
	status := (*atomic.Uint32)(unsafe.Pointer(&r.memory[0]))
	testnet.Eventually(t, "the last frame is sent", func() bool {
		now := status.Load()
		return now == 0 || now == ringWanted // of a frame that a program has dropped
	})
	copy(r.memory[ringHeader:], first)
	binary.NativeEndian.PutUint32(r.memory[4:], uint32(len(first)))
	status.Store(ringWanted)
	err := unix.Sendto(r.fd, nil, unix.MSG_DONTWAIT, nil)
	if err != nil && !errors.Is(err, unix.ENOBUFS) && !errors.Is(err, unix.EAGAIN) {
		t.Fatalf("send from a ring: %v", err)
	}
	copy(r.memory[ringHeader:], second)
}
