package hook

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// settleConflicts probes for all addresses of the container at once, before they
// are used, except those that a prober has seen free. If a pool address is in use, the
// next free one is tried; if a requested address is, the start fails.
func (a *attaching) settleConflicts(ctx context.Context) error {
	if err := a.coverAddresses(ctx); err != nil {
		return err
	}
	all := a.claimants(func(i int, addr netip.Addr) bool { return needsProbe(a.plan.New[i]) && !a.isCovered(i, addr) })
	a.probeNext()
	began, listen := exchange.Now(), a.conflictTimeout()
	err := plumb.Settle(ctx, a.ns, listen, all, func(c network.Conflict) (netip.Addr, error) {
		i, r := a.byName(c.Interface)
		in := a.plan.New[i]
		next, err := a.replaceAddress(ctx, in, r, c)
		if err != nil {
			return next, in.At(err)
		}
		a.Log.Warn("address in use on the LAN, taking the next",
			"address", c.Addr, "by", c.MAC, "network", in.Net.Name, "next", next)
		return next, nil
	})
	if err != nil {
		return fmt.Errorf("container %q: %w", a.ids[0], err)
	}
	for i := range a.records {
		a.noteSeen(i, began, listen)
	}
	return nil
}

// needsProbe reports whether an interface's addresses are probed for conflicts.
func needsProbe(in *Interface) bool { return *in.Net.ConflictTimeout > 0 && hasNeighbours(in) }

// hasNeighbours reports whether an interface uses ARP and Neighbor Discovery. An
// ipvlan interface in the l3 modes does not (ipvlan_set_port_mode in
// drivers/net/ipvlan/ipvlan_main.c sets IFF_NOARP).
func hasNeighbours(in *Interface) bool { return usesNeighbours(in.Net) }

func usesNeighbours(n *specs.Network) bool { return n.Mode != specs.ModeL3 && n.Mode != specs.ModeL3S }

func (a *attaching) conflictTimeout() (most time.Duration) {
	for _, in := range a.plan.New {
		most = max(most, time.Duration(*in.Net.ConflictTimeout))
	}
	return most
}

// replaceAddress replaces an address that is in use by the next free one of its pool.
func (a *attaching) replaceAddress(ctx context.Context, in *Interface, r *state.Attachment,
	c network.Conflict) (next netip.Addr, err error) {
	if prefixesContain(in.Static, c.Addr) {
		return next, plumb.Taken(c)
	}
	before, stake := *r, plumb.Of(r)
	err = a.Store.Update(ctx, func(tx *state.Tx) (err error) {
		if next, r.Addresses, err = stake.Replace(tx, in.Pools[family(c.Addr)], before.Addresses, c); err != nil {
			return err
		}
		if err := lease.Unsee(tx, stake.Domain, c.Addr); err != nil {
			return err
		}
		return tx.Put(r)
	})
	if err != nil {
		r.Addresses = before.Addresses
		return next, err
	}
	a.rejected.Add(stake, c.Addr)
	return next, a.reregisterEndpoint(ctx, &before, r)
}

func (a *attaching) byName(ifname string) (int, *state.Attachment) {
	for i, r := range a.records {
		if r.Interface == ifname {
			return i, r
		}
	}
	panic("a conflict on an interface that was not probed: " + ifname)
}

func prefixesContain(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Addr() == a {
			return true
		}
	}
	return false
}
