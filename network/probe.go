package network

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// probeTimes is when probes are sent. RFC 5227 section 1.1 and RFC 4862
// section 5.1 wait seconds, for hosts that come up at the same moment; berth
// holds up a container's start, and asks three times within 60 ms instead.
var probeTimes = []time.Duration{0, 30 * time.Millisecond, 60 * time.Millisecond}

// Probe asks on the LAN whether somebody has, or is about to take, one of the
// addresses, all at once, and listens until the timeout. It ends earlier when
// every address is in conflict. The links must be up and must not have the
// addresses yet, or they would answer themselves; a link without ARP and
// Neighbor Discovery (ipvlan in its l3 modes) must not be among them. The
// claimants' own MACs are not taken for others'.
//
// No conflict is no proof: the parent's own addresses and those of private
// macvlan siblings cannot be seen from a macvlan, and where the parent has no
// carrier ([Parent]) nobody is heard at all.
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
		defer func() { go w.close() }() // nobody needs to wait for it
		err = probe(ctx, w, c, timeout)
	}
	if err != nil {
		return nil, fmt.Errorf("probe for addresses: %w", err)
	}
	return c.conflicts(), nil
}

// probe is the loop: send what is due, wait, hear what has come.
func probe(ctx context.Context, w *wire, c *claims, timeout time.Duration) error {
	wake, stop, err := wakeUp(ctx)
	if err != nil {
		return err
	}
	defer stop()
	frame := frames(arpProbe, ndProbe)
	send := func(each Claimant, a netip.Addr) error { return w.send(each, a, frame(each, a)) }
	start := time.Now()
	end := start.Add(timeout)
	for due := probeTimes; !c.done() && time.Now().Before(end); {
		if len(due) > 0 && time.Since(start) >= due[0] {
			due = due[1:]
			if err := c.each(send); err != nil {
				return err
			}
		}
		until := end
		if len(due) > 0 && start.Add(due[0]).Before(end) {
			until = start.Add(due[0])
		}
		err := w.wait(until, wake)
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = w.receive(c)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// wakeUp returns a descriptor that becomes readable when the context ends, and
// the function that gives it back.
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
