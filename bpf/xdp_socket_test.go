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

	metadata uint64 // size of the metadata before each frame, or 0
}

// Sizes in an AF_XDP socket's memory.
const (
	xdpHeadroom = 256 // before each frame
	xdpMetadata = 24  // struct xsk_tx_metadata
)

// newSummingXDPSocket opens a socket that lets the kernel compute checksums (from Linux 6.8).
func newSummingXDPSocket(t testing.TB, ifindex int) (*xdpSocket, error) {
	return openXDPSocket(t, ifindex, unix.XDPUmemReg{Flags: unix.XDP_UMEM_TX_METADATA_LEN, Tx_metadata_len: xdpMetadata})
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
	x, err := openXDPSocket(t, ifindex, unix.XDPUmemReg{})
	must(t, err)
	return x
}

// openXDPSocket opens a socket. It returns an error if the kernel refuses the memory.
func openXDPSocket(t testing.TB, ifindex int, area unix.XDPUmemReg) (*xdpSocket, error) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { _ = unix.Close(fd) })
	x := &xdpSocket{fd: fd, metadata: uint64(area.Tx_metadata_len)}
	x.memory, err = unix.Mmap(-1, 0, xdpChunk*xdpChunks, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	must(t, err)
	t.Cleanup(func() { _ = unix.Munmap(x.memory) })
	area.Addr, area.Len, area.Size = uint64(uintptr(unsafe.Pointer(&x.memory[0]))), xdpChunk*xdpChunks, xdpChunk
	if err := x.option(unix.XDP_UMEM_REG, unsafe.Pointer(&area), unsafe.Sizeof(area)); err != nil {
		return nil, err
	}
	entries := uint32(xdpChunks)
	for _, ring := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_TX_RING} {
		x.setOption(t, ring, unsafe.Pointer(&entries), unsafe.Sizeof(entries))
	}
	x.mapRings(t)
	must(t, unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY, Ifindex: uint32(ifindex)}))
	return x, nil
}

func (x *xdpSocket) option(option int, value unsafe.Pointer, size uintptr) error {
	_, _, errno := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(x.fd), unix.SOL_XDP, uintptr(option), uintptr(value), size, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func (x *xdpSocket) setOption(t testing.TB, option int, value unsafe.Pointer, size uintptr) {
	t.Helper()
	if err := x.option(option, value, size); err != nil {
		t.Fatalf("set option %d of an AF_XDP socket: %v", option, err)
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
func (x *xdpSocket) sendFrame(frame []byte) error { return x.sendAt(0, 0, frame) }

// sendSummed sends a frame, at an offset of which the kernel writes the checksum of all that follows.
func (x *xdpSocket) sendSummed(at uint16, frame []byte) error {
	metadata := x.memory[uint64(x.next%xdpChunks)*xdpChunk+xdpHeadroom-x.metadata:]
	binary.NativeEndian.PutUint64(metadata, unix.XDP_TXMD_FLAGS_CHECKSUM)
	binary.NativeEndian.PutUint16(metadata[8:], at)
	binary.NativeEndian.PutUint16(metadata[10:], 0)
	return x.sendAt(xdpHeadroom, unix.XDP_TX_METADATA, frame)
}

// sendAt sends a frame at an offset in its chunk.
func (x *xdpSocket) sendAt(offset uint64, options uint32, frame []byte) error {
	at := x.next % xdpChunks
	copy(x.memory[uint64(at)*xdpChunk+offset:], frame)
	descriptor := x.ring.memory[x.ring.offsets.Desc+uint64(at)*xdpDescriptor:]
	binary.NativeEndian.PutUint64(descriptor, uint64(at)*xdpChunk+offset)
	binary.NativeEndian.PutUint32(descriptor[8:], uint32(len(frame)))
	binary.NativeEndian.PutUint32(descriptor[12:], options)
	x.done.put(x.done.offsets.Consumer, binary.NativeEndian.Uint32(x.done.memory[x.done.offsets.Producer:]))
	x.next++
	x.ring.put(x.ring.offsets.Producer, x.next)
	return unix.Sendto(x.fd, nil, unix.MSG_DONTWAIT, nil)
}
