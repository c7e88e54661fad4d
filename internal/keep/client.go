package keep

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// client keeps one lease, in a goroutine of its own.
type client struct {
	*Keeper
	key         clientKey
	nsid, index int // of the link; Keeper.mu guards them
	stop        context.CancelFunc
	linkChanged chan struct{}

	dhcp.Client // nil until the record was read for the first time
	carrier     bool
	counted     map[string]uint64 // messages that are recorded already
}

// Times of a client.
const (
	// listenFor bounds the wait for the answer to a message, during which the client
	// holds its namespace.
	listenFor = 4 * time.Second

	// longestSleep bounds a wait by Go's clock, which stands still while the machine
	// is suspended, in case the end of the suspension is missed.
	longestSleep = 20 * time.Second

	// retry is the pause after an error: the container may be starting or ending.
	retry = 2 * time.Second
)

// isKept reports whether the leases of an attachment are to be kept.
func isKept(a *state.Attachment) bool { return a.Phase == specs.PhaseAttached && !a.Leaving }

// newClient starts the client of a record.
func (k *Keeper) newClient(ctx context.Context, key clientKey, a *state.Attachment) *client {
	c := &client{Keeper: k, key: key, nsid: a.NSID, index: a.LinkIndex, linkChanged: make(chan struct{}, 1), carrier: true,
		counted: map[string]uint64{}}
	ctx, c.stop = context.WithCancel(ctx)
	k.done.Go(func() { c.keep(ctx) })
	return c
}

// keep takes turns until the context ends or the attachment has ended.
func (c *client) keep(ctx context.Context) {
	defer c.stop()
	var failed string
	for {
		wait, err := c.turn(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, errOver):
			return
		case err != nil:
			if text := err.Error(); text != failed { // once, not with each attempt
				failed = text
				c.Log.Warn("lease not kept; trying again", "attachment", c.key.attachment, "error", err)
			}
			c.restart(ctx)
			wait = retry
		default:
			failed = ""
		}
		if !c.sleep(ctx, wait) {
			return
		}
	}
}

// restart makes the next turn begin with the record, and with counts of its own.
func (c *client) restart(ctx context.Context) {
	if c.Client == nil {
		return
	}
	if err := c.recordCounts(ctx); err != nil && ctx.Err() == nil {
		c.Log.Warn("the messages of a lease are not counted", "attachment", c.key.attachment, "error", err)
	}
	c.Client, c.counted = nil, make(map[string]uint64)
}

// sleep waits for a time, with that for which the machine is suspended, or until the
// client is woken. It returns false if the context ended.
func (c *client) sleep(ctx context.Context, wait time.Duration) bool {
	for until := exchange.Now() + wait; ; {
		left := until - exchange.Now()
		if left <= 0 {
			return ctx.Err() == nil
		}
		select {
		case <-ctx.Done():
			return false
		case <-c.linkChanged:
			return true
		case <-time.After(min(left, longestSleep)):
		}
	}
}

// errOver is returned if the attachment has ended.
var errOver = errors.New("the attachment has ended")

// record returns the attachment of the client, and its part of it.
func (c *client) record(tx *state.Tx) (*state.Attachment, *state.DHCPClient, error) {
	a, err := tx.Attachment(c.key.attachment)
	if errors.Is(err, state.ErrNotFound) {
		return nil, nil, errOver
	}
	if err != nil {
		return nil, nil, err
	}
	i := slices.IndexFunc(a.DHCP, func(d state.DHCPClient) bool { return d.IPv6 == c.key.ipv6 })
	if a.Created.UnixNano() != c.key.created || !isKept(a) || i < 0 {
		return nil, nil, errOver
	}
	return a, &a.DHCP[i], nil
}

// turn carries out the client's due actions, and returns the time until the next is due.
func (c *client) turn(ctx context.Context) (time.Duration, error) {
	var a *state.Attachment
	var d *state.DHCPClient
	err := c.Store.View(ctx, func(tx *state.Tx) (err error) {
		a, d, err = c.record(tx)
		return err
	})
	if err != nil {
		return 0, err
	}
	isNew := c.Client == nil
	if isNew {
		c.Client = plumb.Client(a, d, c.isHosts)
	}
	cameUp := c.cameUp(a)
	if wait := c.untilWake(); !isNew && !cameUp && wait > 0 {
		return wait, nil
	}
	w, err := c.open(a)
	if err != nil {
		return 0, err
	}
	defer w.close()
	if isNew {
		if err := w.resume(ctx, d); err != nil {
			return 0, err
		}
	}
	if err := c.exchange(ctx, w, d, cameUp); err != nil {
		return 0, err
	}
	return c.untilWake(), nil
}

// untilWake returns the time until the client's next timer.
func (c *client) untilWake() time.Duration {
	at, ok := c.Wake()
	if c.State() == dhcp.Init && !ok {
		return 0 // it has not started
	}
	if !ok {
		return time.Hour // it never ends, or waits for the link
	}
	return max(0, at-exchange.Now())
}

// cameUp reports whether the link has a carrier again after it had none.
func (c *client) cameUp(a *state.Attachment) bool {
	link, err := c.host.LinkAtIn(a.NSID, a.LinkIndex)
	if err != nil {
		c.carrier = false // if it vanished with its parent, it is made again
		return false
	}
	had := c.carrier
	c.carrier = link.Up && link.Carrier
	return c.carrier && !had
}

// exchange starts the client, or passes it the event that is due, and waits for answers for
// listenFor.
func (c *client) exchange(ctx context.Context, w *work, d *state.DHCPClient, cameUp bool) error {
	now := exchange.Now()
	var first []dhcp.Action
	switch {
	case c.State() == dhcp.Init && c.Lease() == nil && c.neverStarted():
		first = c.Start(now, dhcp.Memory{Address: d.Last})
	case cameUp:
		first = c.LinkUp(now)
	default:
		first = c.Tick(now)
	}
	if len(first) == 0 {
		return nil
	}
	port, err := exchange.Open(w.ns, w.a.LinkIndex, w.a.MAC, c.key.ipv6)
	if err != nil {
		return err
	}
	defer func() { go port.Close() }() // no step waits for its end
	within, cancel := context.WithTimeout(ctx, listenFor)
	defer cancel()
	var failed error // also if listenFor has passed meanwhile
	handle := func(a dhcp.Action) (more []dhcp.Action, err error) {
		more, failed = w.carryOut(ctx, a)
		return more, failed
	}
	unsent, err := exchange.Turn(within, port, c, first, handle, func() bool {
		return c.State() == dhcp.Bound || c.State() == dhcp.Stopped
	})
	if failed != nil || err != nil && within.Err() == nil {
		return err
	}
	if unsent != nil {
		c.Log.Debug("message not sent", "attachment", c.key.attachment, "error", unsent)
	}
	return c.recordCounts(ctx)
}

// neverStarted reports whether the client waits for its Start.
func (c *client) neverStarted() bool {
	_, ok := c.Wake()
	return !ok
}

// newCounts returns the messages since they were recorded last.
func (c *client) newCounts() map[string]uint64 {
	fresh := make(map[string]uint64)
	for kind, n := range c.Counts() {
		if n > c.counted[kind] {
			fresh[kind] = n - c.counted[kind]
		}
	}
	return fresh
}

// recordCounts records the messages since they were recorded last.
func (c *client) recordCounts(ctx context.Context) error {
	fresh := c.newCounts()
	if len(fresh) == 0 {
		return nil
	}
	err := c.Store.Update(ctx, func(tx *state.Tx) error {
		tx.Quiet()
		return tx.AddDHCPMessages(fresh)
	})
	if err == nil {
		for kind, n := range fresh {
			c.counted[kind] += n
		}
	}
	return err
}

// isHosts returns the reason for which an address cannot be a container's: the host
// has it.
func (k *Keeper) isHosts(addr netip.Addr) string {
	all, err := k.host.Addresses()
	if err == nil && slices.Contains(all, addr) {
		return "it is an address of this host"
	}
	return ""
}

// isFree reports whether no other endpoint and no other host has a leased address.
func (w *work) isFree(ctx context.Context, got *dhcp.Lease) (bool, error) {
	addr := got.Address.Addr()
	var holder *lease.Lease
	var probe time.Duration
	err := w.c.Store.View(ctx, func(tx *state.Tx) error {
		a, d, err := w.c.record(tx)
		if err != nil {
			return err
		}
		probe = d.Probe
		holder, err = lease.In(tx, a.Domain()).Holder(addr)
		return err
	})
	if err != nil || holder != nil && holder.Owner != w.a.Key() {
		return false, err
	}
	claim := []network.Claimant{{Index: w.a.LinkIndex, Name: w.a.Interface, MAC: w.a.MAC, Addresses: []netip.Addr{addr}}}
	conflicts, err := network.Probe(ctx, w.ns, claim, probe)
	if err != nil {
		return false, fmt.Errorf("probe for %s: %w", addr, err)
	}
	return len(conflicts) == 0, nil
}
