package bpf

import (
	"encoding/binary"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The sizes of an AF_XDP socket's memory: chunks of a page, each for one frame.
const (
	xdpChunk  = 4096
	xdpChunks = 64

	xdpDescriptor = 16 // bytes
)

// xdpSocket sends frames by AF_XDP in copy mode (xsk_generic_xmit in net/xdp/xsk.c).
type xdpSocket struct {
	fd     int
	memory []byte  // of the frames
	ring   xdpRing // of descriptors of frames to send
	done   xdpRing // of frames that the kernel has freed
	next   uint32  // number of frames sent
}

// xdpRing is a ring that the kernel and the test share.
type xdpRing struct {
	memory  []byte
	offsets unix.XDPRingOffset
}

func (r xdpRing) put(offset uint64, n uint32) { binary.NativeEndian.PutUint32(r.memory[offset:], n) }

// newXDPSocket opens a socket on an interface of the caller's namespace.
func newXDPSocket(t testing.TB, ifindex int) *xdpSocket {
	t.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	x := &xdpSocket{fd: fd}
	x.memory, err = unix.Mmap(-1, 0, xdpChunk*xdpChunks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(t, err)
	t.Cleanup(func() { _ = unix.Munmap(x.memory) })
	area := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&x.memory[0]))), Len: xdpChunk * xdpChunks, Size: xdpChunk}
	x.setOption(t, unix.XDP_UMEM_REG, unsafe.Pointer(&area), unsafe.Sizeof(area))
	entries := uint32(xdpChunks)
	for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_TX_RING} {
		x.setOption(t, ring, unsafe.Pointer(&entries), unsafe.Sizeof(entries))
	}
	x.mapRings(t)
	must(t, unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(ifindex)}))
	return x
}

func (x *xdpSocket) setOption(t testing.TB, option int, value unsafe.Pointer, size uintptr) {
	t.Helper()
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(x.fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0)
	if errno != 0 {
		t.Fatalf("set option %d of an AF_XDP socket: %v", option, errno)
	}
}

// mapRings maps the rings of frames to send and of freed frames.
func (x *xdpSocket) mapRings(t testing.TB) {
	t.Helper()
	var all unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(all))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(x.fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&all)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		t.Fatalf("read the offsets of an AF_XDP socket's rings: %v", errno)
	}
	mapped := func(offsets unix.XDPRingOffset, at int64, each int) xdpRing {
		memory, err := unix.Mmap(x.fd, at, int(offsets.Desc)+xdpChunks*each, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		must(t, err)
		t.Cleanup(func() { _ = unix.Munmap(memory) })
		return xdpRing{memory, offsets}
	}
	x.ring = mapped(all.Tx, unix.XDP_PGOFF_TX_RING, xdpDescriptor)
	x.done = mapped(all.Cr, unix.XDP_UMEM_PGOFF_COMPLETION_RING, 8)
}

// sendFrame sends a frame. The kernel has copied it when sendFrame returns.
func (x *xdpSocket) sendFrame(frame []byte) error {
	at := x.next % xdpChunks
	copy(x.memory[at*xdpChunk:], frame)
	descriptor := x.ring.memory[x.ring.offsets.Desc+uint64(at)*xdpDescriptor:]
	binary.NativeEndian.PutUint64(descriptor, uint64(at)*xdpChunk)
	binary.NativeEndian.PutUint64(descriptor[8:], 0)
	binary.NativeEndian.PutUint32(descriptor[8:], uint32(len(frame)))
	x.done.put(x.done.offsets.Consumer, binary.NativeEndian.Uint32(x.done.memory[x.done.offsets.Producer:]))
	x.next++
	x.ring.put(x.ring.offsets.Producer, x.next)
	return unix.Sendto(x.fd, nil, unix.MSG_DONTWAIT, nil)
}
