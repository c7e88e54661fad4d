package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"berth/internal/lease"
	"berth/internal/release"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// ErrConflict is wrapped by the error of an address that somebody else on the
// LAN has.
var ErrConflict = errors.New("address in use on the LAN")

// maxConflicts bounds how many addresses of a pool may turn out to be in use
// before a start gives up.
const maxConflicts = 64

// settleConflicts probes for every address before it is used, all of the
// container's at once. A pool's address that is in use is exchanged for the
// pool's next; one that was asked for is an error.
func (a *attaching) settleConflicts(ctx context.Context) error {
	probed := make(map[netip.Addr]bool)
	for range maxConflicts {
		timeout := a.conflictTimeout()
		claimants := a.claimants(func(i int, addr netip.Addr) bool {
			return probes(a.plan.New[i]) && !probed[addr]
		})
		if timeout == 0 || len(claimants) == 0 {
			return nil
		}
		conflicts, err := network.Probe(ctx, a.ns, claimants, timeout)
		if err != nil {
			return fmt.Errorf("probe for the addresses of container %q: %w", a.ids[0], err)
		}
		for _, c := range claimants {
			for _, addr := range c.Addresses {
				probed[addr] = true
			}
		}
		for _, c := range conflicts {
			if err := a.exchange(ctx, c); err != nil {
				return err
			}
		}
	}
	return fmt.Errorf("%w: %d addresses of the pool one after another; set ip_range to a part of the subnet that is this host's", ErrConflict, maxConflicts)
}

// probes reports whether an interface's addresses are probed for.
func probes(in *Interface) bool { return *in.Net.ConflictTimeout > 0 && hasNeighbours(in) }

// hasNeighbours reports whether an interface speaks ARP and Neighbor Discovery;
// ipvlan's in the l3 modes do not (ipvlan_set_port_mode
// in drivers/net/ipvlan/ipvlan_main.c set IFF_NOARP).
func hasNeighbours(in *Interface) bool {
	return in.Net.Mode != specs.ModeL3 && in.Net.Mode != specs.ModeL3S
}

func (a *attaching) conflictTimeout() (most time.Duration) {
	for _, in := range a.plan.New {
		most = max(most, time.Duration(*in.Net.ConflictTimeout))
	}
	return most
}

// exchange replaces an address that is in use by the next of its pool.
func (a *attaching) exchange(ctx context.Context, c network.Conflict) error {
	i, r := a.byName(c.Interface)
	in, fam := a.plan.New[i], family(c.Addr)
	if covers(in.Static, c.Addr) {
		return fmt.Errorf("%s: %w: %s is %s's already; ask for another, or take it from that machine",
			in.Key, ErrConflict, c.Addr, c.MAC)
	}
	a.Log.Warn("address in use on the LAN, taking the next", "address", c.Addr, "by", c.MAC, "network", in.Net.Name)
	before := *r
	err := a.Store.Update(ctx, func(tx *state.Tx) error {
		leases := lease.In(tx, r.Domain())
		next, err := take(leases, in.Pools[fam], ownerOf(r))
		if err != nil {
			return fmt.Errorf("%s: %w: %s is %s's; %w", in.Key, ErrConflict, c.Addr, c.MAC, err)
		}
		r.Addresses = replaced(before.Addresses, c.Addr, next)
		return tx.Put(r)
	})
	if err != nil {
		r.Addresses = before.Addresses
		return err
	}
	a.rejected = append(a.rejected, rejection{r, c.Addr})
	if a.maps == nil || r.Slot == 0 {
		return nil
	}
	return a.Store.View(ctx, func(*state.Tx) error { // as register does
		return errors.Join(a.maps.Unregister(release.Endpoint(&before)), a.maps.Register(release.Endpoint(r)))
	})
}

// rejection is an address that a record holds without using it: it is given back
// only at the end, so that it is not taken again meanwhile.
type rejection struct {
	of   *state.Attachment
	addr netip.Addr
}

func (a *attaching) byName(ifname string) (int, *state.Attachment) {
	for i, r := range a.records {
		if r.Interface == ifname {
			return i, r
		}
	}
	panic("a conflict on an interface that was not probed: " + ifname)
}

func covers(prefixes []netip.Prefix, a netip.Addr) bool {
	for _, p := range prefixes {
		if p.Addr() == a {
			return true
		}
	}
	return false
}

func replaced(all []netip.Prefix, old netip.Addr, by netip.Prefix) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, p := range all {
		if out[i] = p; p.Addr() == old {
			out[i] = by
		}
	}
	return out
}
