package hostshim

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/plumb"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// createLink makes the interface in the host's namespace.
func (e *enabling) createLink(context.Context) error {
	link := network.Link{
		Name: e.rec.Interface, ParentIndex: e.rec.ParentIndex, Driver: e.rec.Driver, Mode: e.rec.Mode, Flag: e.rec.IPvlanFlag,
		MTU: e.rec.MTU, BCQueueLen: e.net.BCQueueLen, Alias: e.rec.alias(),
	}
	if e.rec.Driver == specs.Macvlan {
		link.MAC = e.rec.MAC
	}
	info, err := e.host.CreateLink(e.ns, link)
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("%w; use a parent that is no port of a bridge or bond and carries only %s interfaces",
			err, e.rec.Driver)
	case err != nil:
		return err
	}
	e.rec.LinkIndex = info.Index
	return nil
}

// setUp applies the IPv6 and ARP settings before the interface can send a frame, and
// then sets it up, still without an address.
func (e *enabling) setUp(ctx context.Context) error {
	hasIPv6 := slices.ContainsFunc(e.rec.Addresses, func(p netip.Prefix) bool { return p.Addr().Is6() })
	err := e.ns.SetIPv6(e.rec.Interface, network.IPv6Settings{Mode: specs.IPv6Off, Static: hasIPv6})
	if err == nil {
		err = e.ns.AnswerARPByRoute(e.rec.Interface)
	}
	if err == nil {
		err = e.host.WaitUp(ctx, e.host, e.rec.LinkIndex)
	}
	return err
}

func (e *enabling) checkReflection(ctx context.Context) error {
	if !e.reflect {
		return nil
	}
	link, err := e.host.LinkByIndex(e.rec.LinkIndex)
	if err != nil {
		return err
	}
	back, err := network.Reflects(ctx, e.ns, e.rec.ParentIndex, link, reflectTimeout)
	if err != nil || back {
		return err
	}
	return fmt.Errorf("mode %q needs a switch that reflects, and a frame sent from parent %q did not come back within "+
		"%v; "+
		"turn on hairpin (802.1Qbg) on the switch's port, or use mode bridge", e.net.Mode, e.rec.Parent, reflectTimeout)
}

// usesARP reports whether the interface uses ARP and Neighbor Discovery.
func (e *enabling) usesARP() bool { return e.net.Driver == specs.Macvlan || e.net.Mode == specs.ModeL2 }

// settleConflicts probes for the addresses before they are used. If a pool address is
// in use, the next free one is tried; if a requested address is, Enable fails.
func (e *enabling) settleConflicts(ctx context.Context) error {
	if !e.usesARP() {
		return nil
	}
	claimant := e.claimant(addrsOf(e.rec.Addresses))
	return plumb.Settle(ctx, e.ns, time.Duration(*e.net.ConflictTimeout), []network.Claimant{claimant},
		func(c network.Conflict) (netip.Addr, error) { return e.replaceAddress(ctx, c) })
}

func (e *enabling) claimant(addresses []netip.Addr) network.Claimant {
	return network.Claimant{Index: e.rec.LinkIndex, Name: e.rec.Interface, MAC: e.rec.MAC, Addresses: addresses}
}

func addrsOf(prefixes []netip.Prefix) (all []netip.Addr) {
	for _, p := range prefixes {
		all = append(all, p.Addr())
	}
	return all
}

// replaceAddress replaces an address that is in use by the next free one of its subnet.
func (e *enabling) replaceAddress(ctx context.Context, c network.Conflict) (next netip.Addr, err error) {
	if slices.Contains(addrsOf(e.static), c.Addr) {
		return next, specs.At("--ip", plumb.Taken(c))
	}
	i := slices.IndexFunc(e.pools, func(p *ipam.Pool) bool { return p.Prefix().Contains(c.Addr) })
	stake, before := e.rec.stake(), e.rec.Addresses
	err = e.Store.Update(ctx, func(tx *state.Tx) (err error) {
		var all []netip.Prefix
		if next, all, err = stake.Replace(tx, e.pools[i:i+1], before, c); err != nil {
			return err
		}
		e.rec.Addresses = all
		return putRecord(tx, e.rec)
	})
	if err != nil {
		e.rec.Addresses = before
		return next, err
	}
	e.rejected.Add(stake, c.Addr)
	return next, nil
}

func (e *enabling) announceAddresses(context.Context) error {
	if !e.usesARP() {
		return nil
	}
	return network.Announce(e.ns, []network.Claimant{e.claimant(addrsOf(e.rec.Addresses))})
}

// commitRecord records the shim as enabled: from then on hooks maintain its routes.
func (e *enabling) commitRecord(ctx context.Context) error {
	e.rec.Enabled = true
	return e.Store.Update(ctx, func(tx *state.Tx) error {
		if err := e.rejected.Release(tx); err != nil {
			return err
		}
		return putRecord(tx, e.rec)
	})
}
