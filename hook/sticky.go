package hook

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/specs"
)

// remembers reports whether the addresses of a network's interfaces are remembered. With DHCP
// the next start requests them again; with a pool it does so only if the network is sticky.
func remembers(in *Interface) bool { return in.Net.Sticky || in.Net.UsesDHCP() }

// recallAddresses returns the addresses and the MAC that an interface of a sticky network, or
// of one with DHCP, had when its container last ran, or the zero Memory if they are not
// remembered or the record of them is damaged: the container then gets others. The addresses that
// it had on another node of a cluster come first.
func (a *attaching) recallAddresses(tx *state.Tx, in *Interface) lease.Memory {
	if !remembers(in) {
		return lease.Memory{}
	}
	m, err := lease.Recall(tx, a.stickyKey(in))
	a.warnDamaged(in, err)
	if !in.Net.Clustered() {
		return m
	}
	former, err := lease.Former(tx, in.Net.Domain, lease.FormerID(containerName(a.container), in.Name))
	a.warnDamaged(in, err)
	m.Addresses = append(former, m.Addresses...)
	return m
}

func (a *attaching) warnDamaged(in *Interface, err error) {
	if err != nil {
		a.Log.Warn("the container may get another address than before", "interface", in.Name, "network", in.Net.Name,
			"error", err)
	}
}

// askFormer asks the agent for the blocks of the addresses that interfaces of sticky networks had
// before, as far as this node does not own them: the container ran on another node, or the block
// was given back since. It does not wait if the agent has no connection to etcd.
func (a *attaching) askFormer(ctx context.Context) error {
	for _, in := range a.plan.New {
		if !in.Net.Clustered() || !in.Net.Sticky {
			continue
		}
		var missing []netip.Addr
		err := a.Store.View(ctx, func(tx *state.Tx) (err error) {
			if lease.Trouble(tx, in.Net.Domain) != "" {
				return nil
			}
			had := a.recallAddresses(tx, in)
			missing, err = lease.Missing(tx, slices.Concat(in.Pools[:]...), had.Addresses)
			return err
		})
		if err != nil {
			return in.At(err)
		}
		for _, addr := range missing {
			a.growPool(ctx, &lease.NotOwnedError{Domain: in.Net.Domain, Addr: addr})
		}
	}
	return nil
}

// rememberAddresses stores the Memory of an interface whose network is sticky or uses DHCP: its
// MAC and its addresses, except requested ones, which will be requested again.
func (a *attaching) rememberAddresses(tx *state.Tx, in *Interface, r *state.Attachment) error {
	if !remembers(in) {
		return nil
	}
	m := lease.Memory{InLease: len(r.DHCP) > 0, Started: time.Now().UTC()}
	if !hasParentMAC(r.Driver, r.Mode) {
		m.MAC = r.MAC
	}
	for _, p := range r.Addresses {
		if !in.requests(p.Addr()) {
			m.Addresses = append(m.Addresses, p.Addr())
		}
	}
	for i := range r.DHCP {
		if l := r.DHCP[i].Lease; l != nil && !r.DHCP[i].IPv6 {
			m.Server = l.Server
		}
	}
	return lease.Remember(tx, a.stickyKey(in), m)
}

// requests reports whether the selection requests an address. When an interface is made again, the
// plan has all of its addresses as static ones.
func (in *Interface) requests(a netip.Addr) bool {
	return slices.ContainsFunc(in.IPs, func(ip specs.IP) bool { return ip.Addr == a })
}

func (a *attaching) stickyKey(in *Interface) string {
	return lease.StickyKey(in.Net.Name, containerName(a.container), in.Name)
}
