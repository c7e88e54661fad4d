package network

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// etherTypeLocal is IEEE 802's "Local Experimental EtherType 1", which no station
// interprets (IEEE 802-2014, 9.2.3).
const etherTypeLocal = 0x88b5

// Reflects reports whether the switch behind a parent sends frames back on the
// port where they came in (IEEE 802.1Qbg). Without that, interfaces in vepa mode
// do not reach each other. It sends a broadcast out of a macvlan of the parent,
// twice, and waits for it on the parent until the timeout.
func Reflects(ctx context.Context, n *Namespace, parent int, from LinkInfo, timeout time.Duration) (bool, error) {
	w := &wire{fds: map[uint16]int{}, groups: -1}
	defer func() { go w.close() }() // nothing waits for it
	if err := n.Do(func() error { return w.listenEthertype(etherTypeLocal, nil) }); err != nil {
		return false, fmt.Errorf("open packet socket: %w", err)
	}
	frame := append(ethernetFrame(broadcast, from.MAC, etherTypeLocal), make([]byte, 46)...) // the shortest payload
	to := &unix.SockaddrLinklayer{Ifindex: from.Index, Protocol: bigEndian(etherTypeLocal)}
	for range 2 {
		if err := unix.Sendto(w.fds[etherTypeLocal], frame, 0, to); err != nil {
			return false, fmt.Errorf("send a frame on interface %q: %w", from.Name, err)
		}
		back, err := w.receivesFrame(ctx, frame, parent, time.Now().Add(timeout/2))
		if back || err != nil {
			return back, err
		}
	}
	return false, nil
}

// receivesFrame waits until the frame is received on a link, and reports whether it was.
func (w *wire) receivesFrame(ctx context.Context, frame []byte, link int, until time.Time) (bool, error) {
	wake, stop, err := wakeUp(ctx)
	if err != nil {
		return false, err
	}
	defer stop()
	buf := make([]byte, len(frame))
	for time.Now().Before(until) {
		if err := errors.Join(w.waitReadable(until, wake), ctx.Err()); err != nil {
			return false, err
		}
		for {
			n, from, err := unix.Recvfrom(w.fds[etherTypeLocal], buf, 0)
			if errors.Is(err, unix.EAGAIN) {
				break
			}
			if err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENETDOWN) {
				return false, fmt.Errorf("receive: %w", err)
			}
			on, ok := from.(*unix.SockaddrLinklayer)
			if ok && on.Ifindex == link && on.Pkttype != unix.PACKET_OUTGOING && bytes.Equal(buf[:max(n, 0)], frame) {
				return true, nil
			}
		}
	}
	return false, nil
}
