package bpf

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/specs"
)

// wireTruth is a capture at the far end of the parent's cable, with offloads off: each
// frame is one that a cable would carry.
type wireTruth struct {
	testing.TB
	fd     int
	frames map[wireFrame]specs.Count
}

type wireFrame struct {
	toParent bool
	to, from specs.MAC
}

// captureWire makes the host segment super-packets before the cable in both directions, and
// the parent join the segments that it receives, and counts the frames on the cable.
func (l *lab) captureWire() *wireTruth {
	l.Helper()
	testnet.Run(l, l.ns, "ethtool", "-K", "eth0", "tso", "off", "tx-udp-segmentation", "off", "gro", "on")
	testnet.Run(l, l.lan, "ethtool", "-K", "wire", "tso", "off", "gso", "off", "gro", "off", "tx-udp-segmentation", "off")
	w := &wireTruth{TB: l, frames: make(map[wireFrame]specs.Count)}
	index := testnet.Link(l, l.lan, "wire").Attrs().Index
	testnet.In(l, l.lan, func() {
		var err error
		all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
		w.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(l, err)
		must(l, unix.SetsockoptInt(w.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20))
		must(l, unix.Bind(w.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}))
	})
	l.Cleanup(func() { _ = unix.Close(w.fd) })
	return w
}

// drainCapture counts the frames since the last call, and checks that the capture has all of them.
func (w *wireTruth) drainCapture() {
	w.Helper()
	var head [14]byte
	for {
		n, from, err := unix.Recvfrom(w.fd, head[:], unix.MSG_TRUNC)
		if errors.Is(err, unix.EAGAIN) {
			break
		}
		must(w, err)
		f := wireFrame{toParent: from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING}
		copy(f.to[:], head[:6])
		copy(f.from[:], head[6:12])
		w.frames[f] = w.frames[f].Plus(countOf(1, uint64(n)))
	}
	stats, err := unix.GetsockoptTpacketStats(w.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS)
	must(w, err)
	if stats.Drops != 0 {
		w.Fatalf("the capture lost %d frames", stats.Drops)
	}
}

// countersOf returns the counts that an endpoint must have of the frames on the cable: frames with
// its source that left, and frames to it alone that came from sources that it listens to;
// siblings marks local sources.
func (w *wireTruth) countersOf(e *Endpoint, siblings map[specs.MAC]bool) (c specs.Counters) {
	listed := make(map[specs.MAC]bool)
	for _, mac := range e.Sources {
		listed[mac] = true
	}
	for f, n := range w.frames {
		switch {
		case !f.toParent && f.from == e.MAC:
			addCast(&c.Transmit.External, f.to, n)
		case f.toParent && f.to == e.MAC && (e.Mode != specs.ModeSource || listed[f.from]):
			scope := &c.Receive.External
			if siblings[f.from] {
				scope = &c.Receive.Local
			}
			addCast(scope, f.to, n)
		}
	}
	return c
}

func addCast(c *specs.Casts, to specs.MAC, n specs.Count) {
	at := &c.Unicast
	if to == macAll {
		at = &c.Broadcast
	} else if to.IsMulticast() {
		at = &c.Multicast
	}
	*at = at.Plus(n)
}
