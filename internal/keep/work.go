package keep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"

	"berth/bpf"
	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/internal/hostshim"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
)

// work is a client's access to its interface during one turn.
type work struct {
	c      *client
	a      *state.Attachment // the record as it was when the turn began; only its unchanging fields are used
	ns     *network.Namespace
	inside *network.Handle
}

func (w *work) close() { _ = w.ns.Close() } // only read from

// open opens the namespace of an attachment and checks that its interface exists there.
func (c *client) open(a *state.Attachment) (*work, error) {
	ns, err := c.namespace(a.Cookie)
	if err != nil {
		return nil, err
	}
	w := &work{c: c, a: a, ns: ns}
	if w.inside, err = ns.Open(); err == nil {
		var link network.LinkInfo
		if link, err = w.inside.LinkByIndex(a.LinkIndex); err == nil && link.Alias != a.Alias() && link.MAC != a.MAC {
			err = fmt.Errorf("interface %d of the container is %q, another one", a.LinkIndex, link.Name)
		}
	}
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// resume repeats the steps that a killed keeper may have left undone: the kernel gets the
// recorded lease's address and routes, and loses the replaced address.
func (w *work) resume(ctx context.Context, d *state.DHCPClient) error {
	if l := plumb.Lease(d); l != nil {
		if ends, ok := l.Ends(); !ok || exchange.Now() < ends {
			if err := w.set(l, nil, d); err != nil {
				return err
			}
			if err := w.setMTU(ctx); err != nil {
				return err
			}
		}
	}
	return w.finish(ctx)
}

// carryOut carries out an action of the client other than Send.
func (w *work) carryOut(ctx context.Context, a dhcp.Action) ([]dhcp.Action, error) {
	switch a.Kind {
	case dhcp.Renewed:
		return nil, w.renewed(ctx, a)
	case dhcp.Lost:
		return nil, w.lost(ctx, a)
	case dhcp.Obtained:
		free, err := w.isFree(ctx, a.Lease)
		if err != nil {
			return nil, err
		}
		if !free {
			w.c.Log.Warn("a DHCP server leased an address that another host or container has, declining it",
				"attachment", w.c.key.attachment, "address", a.Lease.Address, "by", a.Lease.Server)
			return w.c.Decline(exchange.Now()), nil
		}
		if err := w.obtained(ctx, a); err != nil {
			return nil, err
		}
		return w.c.Accept(exchange.Now()), nil
	}
	return nil, nil
}

// renewed extends the lifetimes of the address, first in the kernel: if the process is
// killed in between, the record ends earlier than the lease.
func (w *work) renewed(ctx context.Context, a dhcp.Action) error {
	var d state.DHCPClient
	err := w.c.Store.View(ctx, func(tx *state.Tx) error {
		_, now, err := w.c.record(tx)
		if err == nil {
			d = *now
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := w.set(a.Lease, a.Old, &d); err != nil {
		return err
	}
	w.c.step("extended in the kernel")
	err = w.change(ctx, func(tx *state.Tx, at *state.Attachment, d *state.DHCPClient) error {
		plumb.SetLease(d, a.Lease, exchange.Now())
		return nil
	})
	if err != nil {
		return err
	}
	return w.setMTU(ctx)
}

// obtained begins to use a new address, and only then gives up the old one.
func (w *work) obtained(ctx context.Context, a dhcp.Action) error {
	var d state.DHCPClient
	err := w.change(ctx, func(tx *state.Tx, at *state.Attachment, now *state.DHCPClient) error {
		if err := plumb.Of(at).ClaimFromDHCP(tx, a.Lease.Address.Addr()); err != nil {
			return err
		}
		if now.Lease != nil && now.Lease.Address != a.Lease.Address {
			now.Old = now.Lease.Address
		}
		at.Addresses = plumb.Addresses(at.Addresses, netip.Prefix{}, a.Lease.Address)
		plumb.SetLease(now, a.Lease, exchange.Now())
		d = *now
		return nil
	})
	if err != nil {
		return err
	}
	w.c.step("recorded the new address")
	if err := w.set(a.Lease, a.Old, &d); err != nil {
		return err
	}
	w.c.step("set the new address")
	if err := w.setMTU(ctx); err != nil {
		return err
	}
	w.c.Log.Info("leased", "attachment", w.c.key.attachment, "address", a.Lease.Address, "by",
		a.Lease.Server, "before", d.Old)
	return w.finish(ctx)
}

// lost stops using an address.
func (w *work) lost(ctx context.Context, a dhcp.Action) error {
	w.c.Log.Warn("lease lost", "attachment", w.c.key.attachment, "address", a.Old.Address, "reason", a.Reason)
	err := w.change(ctx, func(_ *state.Tx, at *state.Attachment, d *state.DHCPClient) error {
		d.Lease, d.Lost, d.Old = nil, a.Reason, a.Old.Address
		return nil
	})
	if err != nil {
		return err
	}
	w.c.step("recorded the loss")
	return w.finish(ctx)
}

// finish deletes an address that was replaced or lost, from the kernel first, then from
// the record, the leases and the maps.
func (w *work) finish(ctx context.Context) error {
	var old netip.Prefix
	err := w.c.Store.View(ctx, func(tx *state.Tx) error {
		_, d, err := w.c.record(tx)
		if err == nil {
			old = d.Old
		}
		return err
	})
	if err != nil || !old.IsValid() {
		return err
	}
	if err := w.inside.DeleteAddress(w.a.LinkIndex, old); err != nil {
		return err
	}
	w.c.step("deleted the old address")
	return w.change(ctx, func(tx *state.Tx, at *state.Attachment, d *state.DHCPClient) error {
		d.Old = netip.Prefix{}
		if d.Lease != nil && d.Lease.Address == old {
			return nil
		}
		at.Addresses = plumb.Addresses(at.Addresses, old, netip.Prefix{})
		return lease.In(tx, at.Domain()).ReleaseAddr(old.Addr(), at.Key())
	})
}

// set gives the interface the address of a lease with its lifetimes. If the routes have
// changed since the old lease, or if there is none, it also sets those. A route that
// cannot be set is left out: servers are untrusted.
func (w *work) set(l, old *dhcp.Lease, d *state.DHCPClient) error {
	if err := w.inside.SetDHCPAddress(w.a.LinkIndex, l.Address, plumb.Lifetimes(l, exchange.Now())); err != nil {
		return err
	}
	routes := plumb.LeaseRoutes(l, d)
	var before []network.Route
	if old != nil {
		before = plumb.LeaseRoutes(old, d)
		if slices.Equal(routes, before) && old.Address == l.Address {
			return nil
		}
	}
	for _, r := range before {
		if !slices.Contains(routes, r) {
			if err := w.deleteRoute(r); err != nil {
				return err
			}
		}
	}
	for _, r := range routes {
		if err := w.inside.AddRoute(w.a.LinkIndex, r); err != nil && !errors.Is(err, network.ErrExists) {
			w.c.Log.Warn("route of the DHCP server left out", "attachment", w.c.key.attachment, "server", l.Server, "error", err)
		}
	}
	return nil
}

// change changes the record in one transaction, together with the numbers of messages,
// and registers the addresses with the datapath if they have changed.
func (w *work) change(ctx context.Context, fn func(*state.Tx, *state.Attachment, *state.DHCPClient) error) error {
	var before, now state.Attachment
	fresh := w.c.newCounts()
	var routes hostshim.Changes // of the host, if the network has a shim
	err := w.c.Store.Update(ctx, func(tx *state.Tx) error {
		a, d, err := w.c.record(tx)
		if err != nil {
			return err
		}
		before = *a
		before.Addresses = slices.Clone(a.Addresses)
		old := leaseRoutes(a)
		if err := fn(tx, a, d); err != nil {
			return err
		}
		replaceRoutes(a, old, leaseRoutes(a))
		now = *a
		if err := errors.Join(tx.Put(a), tx.AddDHCPMessages(fresh)); err != nil ||
			slices.Equal(before.Addresses, now.Addresses) {
			return err
		}
		return routes.Note(tx, a)
	})
	if err != nil {
		return err
	}
	for kind, n := range fresh {
		w.c.counted[kind] += n
	}
	routes.Apply(ctx, w.c.Store, w.c.Log)
	if !slices.Equal(before.Addresses, now.Addresses) {
		w.c.register(ctx, &before, &now)
	}
	return nil
}

// register registers an attachment with the datapath after a change of its addresses.
// If it cannot, the agent does.
func (k *Keeper) register(ctx context.Context, before, now *state.Attachment) {
	maps, err := bpf.Open(k.BPFFS)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		defer maps.Close()
		if now.Slot == 0 || now.Slot >= maps.Slots() {
			return
		}
		// Exclude keeps out a drain, as in the hook.
		err = k.Store.Exclude(ctx, func() error {
			return maps.Move(release.Endpoint(before), release.Endpoint(now))
		})
	}
	if err != nil {
		k.Log.Warn("register with the agent's maps", "interface", now.Interface, "error", err)
	}
}

func (c *client) step(name string) {
	if c.Step != nil {
		c.Step(name)
	}
}
