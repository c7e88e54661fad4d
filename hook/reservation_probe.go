package hook

import (
	"context"
	"net/netip"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
)

// probeParent probes for an address from the parent, unless it was seen free a short time ago.
// It records an address that no machine answers for, so that Attach need not probe again.
// Without a carrier, or on a VLAN that does not exist yet, nothing answers; Attach then probes
// from the container's interface.
func (r *reservation) probeParent(ctx context.Context, a netip.Addr) ([]network.Conflict, error) {
	if !probedOnParent(r.net) || r.makeVLAN {
		return nil, nil
	}
	link, err := r.host.LinkByIndex(r.parent.Index)
	if err != nil || !link.Carrier {
		return nil, err
	}
	seen, err := r.wasSeenFree(ctx, a, &link)
	if err != nil {
		return nil, err
	}
	if seen {
		r.startProber(a)
		return nil, nil
	}
	r.startProber()
	here, err := network.Current()
	if err != nil {
		return nil, err
	}
	defer here.Close()
	began, listen := exchange.Now(), time.Duration(*r.net.ConflictTimeout)
	conflicts, err := network.Probe(ctx, here, []network.Claimant{
		{Index: link.Index, Name: link.Name, MAC: r.parent.MAC, Addresses: []netip.Addr{a}},
	}, listen)
	if err != nil {
		return nil, err
	}
	s := lease.Sighting{Addr: a, At: began, Listened: listen, Link: linkState(&link)}
	return conflicts, r.recordProbe(ctx, s, len(conflicts) == 0)
}

// wasSeenFree reports whether a prober or an earlier start has seen an address free. A requested
// address is always probed for.
func (r *reservation) wasSeenFree(ctx context.Context, a netip.Addr, link *network.LinkInfo) (seen bool, err error) {
	if r.Addr.IsValid() {
		return false, nil
	}
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		s := lease.FindSighting(lease.Sightings(tx, r.domain), a)
		seen = s.Covers(exchange.Now(), time.Duration(*r.net.ConflictTimeout), linkState(link))
		return nil
	})
	return seen, err
}

// recordProbe records an address as seen free, unless the wire was another one meanwhile, or
// forgets it.
func (r *reservation) recordProbe(ctx context.Context, s lease.Sighting, silent bool) error {
	now, err := r.host.LinkByIndex(s.Link.Index)
	silent = silent && err == nil && now.Carrier && linkState(&now) == s.Link
	return r.Store.Update(ctx, func(tx *state.Tx) error {
		if !silent {
			return lease.Unsee(tx, r.domain, s.Addr)
		}
		return lease.See(tx, r.domain, exchange.Now(), []lease.Sighting{s})
	})
}

// startProber starts a prober for the addresses that the next containers will get, and for
// those that this one gets without a probe of its own. An error is logged: the next start then
// waits for its own probe.
func (r *reservation) startProber(taken ...netip.Addr) {
	if r.StartProber == nil || !hasProber(r.net) || len(taken) == 0 && r.Store.Held(proberKey(r.net.Name)) {
		return
	}
	if err := r.StartProber([]ProbeRequest{{Network: r.net.Name, Taken: taken}}); err != nil {
		r.Log.Warn("probe ahead", "error", err)
	}
}
