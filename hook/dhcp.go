package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"berth/dhcp"
	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// leasing gets the DHCP lease of one family of one interface.
type leasing struct {
	in     *Interface
	r      *state.Attachment
	client *state.DHCPClient // in r
	port   *exchange.Port
	dhcp.Client
	got *dhcp.Lease
	err error
}

// getDHCPLeases gets a DHCP lease for each family of each interface that uses DHCP, for all interfaces at once: from
// the container's own interface and with its MAC, so that servers on the wire, on the
// host shim and on siblings are reached, and the datapath counts the messages as the
// container's.
func (a *attaching) getDHCPLeases(ctx context.Context) error {
	var all []*leasing
	for i, in := range a.plan.New {
		r := a.records[i]
		for fam := range families {
			if in.DHCP[fam] {
				r.DHCP = append(r.DHCP, a.newClient(in, r, fam))
			}
		}
		for j := range r.DHCP {
			all = append(all, &leasing{in: in, r: r, client: &r.DHCP[j]})
		}
	}
	if len(all) == 0 {
		return nil
	}
	var wait sync.WaitGroup
	for _, l := range all {
		wait.Go(func() { l.err = a.acquire(ctx, l) })
	}
	wait.Wait()
	return a.keepDHCPLeases(ctx, all)
}

// newClient returns the configuration of an interface's client.
func (a *attaching) newClient(in *Interface, r *state.Attachment, fam int) state.DHCPClient {
	name := containerName(a.container)
	id := clientID{network: in.Net.Name, container: name, ifname: r.Interface, mac: r.MAC, kind: in.Net.DHCPClientID}
	c := state.DHCPClient{
		IPv6: fam == ipv6, IAID: id.iaid(), Broadcast: r.Driver == specs.IPvlan, Release: *in.Net.DHCPRelease,
		Default: in.Default[fam] && !in.Gateway[fam].IsValid() && fam == ipv4, Metric: in.Net.Metric, Memory: a.stickyKey(in),
		MTU: r.MTU,
	}
	if c.ClientID = id.option61(); c.IPv6 {
		c.ClientID = id.duid()
	}
	if needsProbe(in) {
		c.Probe = time.Duration(*in.Net.ConflictTimeout)
	}
	if in.Net.DHCPHostname == specs.HostnameName {
		c.Hostname = dhcpHostname(name, a.hostname)
	}
	return c
}

// acquire runs the exchange until there is a lease whose address is free.
func (a *attaching) acquire(ctx context.Context, l *leasing) (err error) {
	if err := a.ns.PromoteSecondaries(l.r.Interface); err != nil {
		return err
	}
	l.Client = plumb.Client(l.r, l.client, a.foreign)
	if l.port, err = exchange.Open(a.ns, l.r.LinkIndex, l.r.MAC, l.client.IPv6); err != nil {
		return err
	}
	defer func() { go l.port.Close() }() // nothing waits for it
	within, cancel := context.WithTimeout(ctx, time.Duration(*l.in.Net.DHCPTimeout))
	defer cancel()
	l.got, err = exchange.Acquire(within, l.port, l.Client, l.memory(),
		func(ctx context.Context, got *dhcp.Lease) (bool, error) {
			return a.isFree(ctx, l, got)
		})
	if errors.Is(err, exchange.ErrUnmanaged) {
		l.client.Unmanaged = true
		if l.got != nil {
			l.client.Options = &specs.DHCPOptions{Server: l.got.Server, DNS: l.got.DNS, Search: l.got.Search, NTP: l.got.NTP}
		}
		a.Log.Info("no DHCPv6 address: the router's flag M is not set", "interface", l.r.Interface, "network", l.in.Net.Name)
		return nil
	}
	return err
}

// memory returns the address of the interface's earlier lease, if it is remembered.
func (l *leasing) memory() (m dhcp.Memory) {
	for _, addr := range l.in.Had.Addresses {
		if addr.Is6() == l.client.IPv6 {
			return dhcp.Memory{Address: addr, Held: l.in.Had.InLease, Server: l.in.Had.Server}
		}
	}
	return m
}

// foreign returns the reason for which an address cannot be a container's.
func (a *attaching) foreign(addr netip.Addr) string {
	if slices.Contains(a.hostAddresses, addr) {
		return "it is an address of this host"
	}
	return ""
}

// isFree reports whether no other endpoint and no other host has a leased address.
func (a *attaching) isFree(ctx context.Context, l *leasing, got *dhcp.Lease) (bool, error) {
	addr := got.Address.Addr()
	var holder *lease.Lease
	err := a.Store.View(ctx, func(tx *state.Tx) (err error) {
		holder, err = lease.In(tx, l.r.Domain()).Holder(addr)
		return err
	})
	if err != nil {
		return false, err
	}
	if holder != nil && holder.Owner != l.r.Key() {
		a.Log.Warn("a DHCP server leased the address of another container", "address", addr, "by", got.Server,
			"container", holder.Container)
		return false, nil
	}
	claim := []network.Claimant{{Index: l.r.LinkIndex, Name: l.r.Interface, MAC: l.r.MAC, Addresses: []netip.Addr{addr}}}
	conflicts, err := network.Probe(ctx, a.ns, claim, l.client.Probe)
	for _, c := range conflicts {
		a.Log.Warn("a DHCP server leased an address that is in use on the LAN, declining it", "address", addr, "by",
			got.Server, "used by", c.MAC)
	}
	return len(conflicts) == 0, err
}

// keepDHCPLeases records the DHCP leases and registers the addresses, or returns the first
// error. Leases that were got are given back by the undo.
func (a *attaching) keepDHCPLeases(ctx context.Context, all []*leasing) error {
	before := make(map[string]state.Attachment)
	for _, l := range all {
		before[l.r.Key()] = *l.r
		if l.got == nil || !l.got.Address.IsValid() {
			continue
		}
		plumb.SetLease(l.client, l.got, exchange.Now())
		l.r.Addresses = plumb.Addresses(l.r.Addresses, netip.Prefix{}, l.got.Address)
		if l.client.Release {
			a.undo.push("lease of "+l.got.Address.String(), func(ctx context.Context) error { return a.giveLeaseBack(ctx, l) })
		}
	}
	err := a.Store.Update(ctx, func(tx *state.Tx) error {
		for _, l := range all {
			if err := tx.AddDHCPMessages(l.counts()); err != nil {
				return err
			}
		}
		return nil
	})
	for _, l := range all {
		if l.err != nil {
			return errors.Join(err, l.in.At(a.explainLeasing(l)))
		}
	}
	if err != nil {
		return err
	}
	if err := a.recordDHCPLeases(ctx, all); err != nil {
		return err
	}
	return a.reregisterAll(ctx, before)
}

// reregisterAll registers the attachments again whose earlier records, by key, are given.
func (a *attaching) reregisterAll(ctx context.Context, before map[string]state.Attachment) error {
	for _, r := range a.records {
		if old, ok := before[r.Key()]; ok {
			if err := a.reregisterEndpoint(ctx, &old, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *leasing) counts() map[string]uint64 {
	if l.Client == nil {
		return nil
	}
	return l.Counts()
}

// recordDHCPLeases claims the leased addresses, so that no pool of the domain gives them
// out, and records them.
func (a *attaching) recordDHCPLeases(ctx context.Context, all []*leasing) error {
	return a.Store.Update(ctx, func(tx *state.Tx) error {
		for _, l := range all {
			if l.got != nil && l.got.Address.IsValid() {
				if err := plumb.Of(l.r).ClaimFromDHCP(tx, l.got.Address.Addr()); err != nil {
					return l.in.At(err)
				}
			}
			if err := tx.Put(l.r); err != nil {
				return err
			}
		}
		return nil
	})
}

// explainLeasing adds the name of the interface, and the remedy, to an error.
func (a *attaching) explainLeasing(l *leasing) error {
	if !errors.Is(l.err, exchange.ErrNoAnswer) {
		return fmt.Errorf("DHCP on %q: %w", l.r.Interface, l.err)
	}
	remedy := "check that a DHCP server with a free address serves this LAN and that no switch or firewall drops " +
		"frames of this MAC"
	if l.in.Net.Name != "" {
		remedy += ": berth check " + l.in.Net.Name
	}
	return fmt.Errorf("interface %q (%s, on %s): %w; %s", l.r.Interface, l.r.MAC, l.r.Parent, l.err, remedy)
}

// giveLeaseBack releases a lease that is not used after all.
func (a *attaching) giveLeaseBack(ctx context.Context, l *leasing) error {
	return exchange.GiveBack(ctx, a.ns, l.r.LinkIndex, l.r.MAC, plumb.Client(l.r, l.client, nil))
}

// addDHCPAddresses adds the addresses of an interface's DHCP leases with their lifetimes, and sets
// the MTU that a server asks for.
func (a *attaching) addDHCPAddresses(ctx context.Context, r *state.Attachment) error {
	for i := range r.DHCP {
		l := plumb.Lease(&r.DHCP[i])
		if l == nil || l.Left(l.Lifetime, exchange.Now()) <= 0 {
			continue
		}
		left := plumb.Lifetimes(l, exchange.Now())
		if err := a.inside.WaitDHCPAddress(ctx, a.host, r.LinkIndex, l.Address, left); err != nil {
			return fmt.Errorf("address %s on %q: %w", l.Address, r.Interface, err)
		}
		mtu := plumb.LeaseMTU(r, &r.DHCP[i])
		if mtu == r.MTU {
			continue
		}
		if err := a.inside.SetMTU(r.LinkIndex, mtu); err != nil {
			return err
		}
		r.MTU = mtu
	}
	return nil
}

// addDHCPRoutes adds the routes of an interface's DHCP leases and returns those that it
// added. Servers are untrusted: a route that cannot be added is left out.
func (a *attaching) addDHCPRoutes(r *state.Attachment) (added []network.Route, err error) {
	for i := range r.DHCP {
		l := plumb.Lease(&r.DHCP[i])
		if l == nil {
			continue
		}
		for _, route := range plumb.LeaseRoutes(l, &r.DHCP[i]) {
			err := a.inside.AddRoute(r.LinkIndex, route)
			switch {
			case err == nil:
				added = append(added, route)
			case errors.Is(err, network.ErrNoLink):
				return nil, fmt.Errorf("route on %q: %w", r.Interface, err)
			default:
				a.Log.Warn("route of the DHCP server left out", "interface", r.Interface, "server", l.Server, "error", err)
			}
		}
	}
	return added, nil
}
