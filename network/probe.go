package network

import (
	"context"
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
// macvlan siblings cannot be seen from a macvlan.
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

// probe is the loop: send what is due, hear what has come, wait for the next.
func probe(ctx context.Context, w *wire, c *claims, timeout time.Duration) error {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("make eventfd: %w", err)
	}
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // cannot overflow
	})
	defer func() {
		if !stop() {
			<-woken // the descriptor is in use until then
		}
		_ = unix.Close(wake)
	}()

	frame := frames(arpProbe, ndProbe)
	start := time.Now()
	end := start.Add(timeout)
	for due := probeTimes; !c.done() && time.Now().Before(end); {
		if len(due) > 0 && time.Since(start) >= due[0] {
			due = due[1:]
			err := c.each(func(each Claimant, a netip.Addr) error { return w.send(each, a, frame(each, a)) })
			if err != nil {
				return err
			}
		}
		until := end
		if len(due) > 0 && start.Add(due[0]).Before(end) {
			until = start.Add(due[0])
		}
		if err := w.wait(until, wake); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := w.receive(c); err != nil {
			return err
		}
	}
	return nil
}
