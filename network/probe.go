package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// probeTimes are the times at which probes are sent. RFC 5227 section 1.1 and RFC
// 4862 section 5.1 wait seconds, for hosts that start at the same moment; berth
// delays a container's start, so it sends three probes within 60 ms instead.
var probeTimes = []time.Duration{0, 30 * time.Millisecond, 60 * time.Millisecond}

// Probe probes the LAN for all addresses at once and listens until the timeout
// for hosts that have, or are about to take, one of them. It returns earlier if
// every address is in conflict. The links must be up and must not have the
// addresses yet, or they would answer themselves; a link without ARP and Neighbor
// Discovery (ipvlan in its l3 modes) must not be among them. Frames from the
// claimants' own MACs are ignored.
//
// No conflict is no proof: a macvlan receives no answers from its parent or from
// private macvlan siblings, and without a carrier of the parent ([Parent]) there
// are no answers at all.
func Probe(ctx context.Context, n *Namespace, claimants []Claimant, timeout time.Duration) ([]Conflict, error) {
	c := newClaims(claimants)
	if c.total == 0 || timeout <= 0 {
		return nil, nil
	}
	var w *wire
	err := n.Do(func() (err error) {
		w, err = openWire(c)
		return err
	})
	if err == nil {
		defer func() { go w.close() }() // nothing waits for it
		err = probeAddresses(ctx, w, c, timeout)
	}
	if err != nil {
		return nil, fmt.Errorf("probe for addresses: %w", err)
	}
	return c.conflicts(), nil
}

// probeAddresses repeats: send the probes that are due, wait, read the received frames.
func probeAddresses(ctx context.Context, w *wire, c *claims, timeout time.Duration) error {
	wake, stop, err := wakeUp(ctx)
	if err != nil {
		return err
	}
	defer stop()
	frame := framesByFamily(arpProbe, ndProbe)
	send := func(each Claimant, a netip.Addr) error { return w.sendFrame(each, a, frame(each, a)) }
	start := time.Now()
	end := start.Add(timeout)
	for due := probeTimes; !c.allConflict() && time.Now().Before(end); {
		if len(due) > 0 && time.Since(start) >= due[0] {
			due = due[1:]
			if err := c.eachAddress(send); err != nil {
				return err
			}
		}
		until := end
		if len(due) > 0 && start.Add(due[0]).Before(end) {
			until = start.Add(due[0])
		}
		err := w.waitReadable(until, wake)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.receiveFrames(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wakeUp returns a descriptor that becomes readable when the context ends, and
// the function that closes it.
func wakeUp(ctx context.Context) (fd int, stop func(), err error) {
	fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return -1, nil, fmt.Errorf("make eventfd: %w", err)
	}
	written := make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(written)
		_, _ = unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1)) // cannot overflow
	})
	return fd, func() {
		if !cancel() {
			<-written
		}
		_ = unix.Close(fd)
	}, nil
}
