package hook

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"berth/dhcp/exchange"
	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// addressSightings holds the sightings of an interface's addresses, from a prober (see
// [Hook.ProbeAhead]) or a reservation. An address is covered if a sighting replaces its probe, so
// that the start does not wait.
type addressSightings struct {
	sightings []lease.Sighting // of its addresses from pools, and of reserved ones
	link      network.LinkInfo // the parent, before the probe
	covered   []netip.Addr     // used without a wait
	noted     []lease.Sighting // by this run's own probe
}

// probesAhead reports whether this run may use addresses that a prober has seen free.
func (a *attaching) probesAhead(in *Interface) bool { return a.StartProber != nil && hasProber(in.Net) }

// usesSightings reports whether this run may use addresses of an interface that were seen
// free. [Hook.Reserve] has probed for those that it has reserved, with or without a prober.
func (a *attaching) usesSightings(in *Interface) bool {
	return a.reserved != "" && probedOnParent(in.Net) || a.probesAhead(in)
}

// hasProber reports whether a prober probes for the next addresses of a network.
func hasProber(n *specs.Network) bool { return probedOnParent(n) && n.Name != "" }

// probedOnParent reports whether the addresses of a network can be probed for from its parent.
// A parent in passthru mode has one interface only, and its MAC is that one's.
func probedOnParent(n *specs.Network) bool {
	return *n.ConflictTimeout > 0 && usesNeighbours(n) && n.Mode != specs.ModePassthru
}

// fromPool reports whether an interface took an address from one of its pools. A requested one is
// probed for at each start, unless Hook.Reserve has probed for it (see readSightings).
func (in *Interface) fromPool(a netip.Addr) bool {
	return !prefixesContain(in.Static, a) && len(in.Pools[family(a)]) > 0
}

// readSightings reads the sightings of the addresses that an interface has taken.
func (a *attaching) readSightings(tx *state.Tx, i int) {
	in, r := a.plan.New[i], a.records[i]
	a.seen[i].sightings = nil
	if !a.usesSightings(in) {
		return
	}
	all := lease.Sightings(tx, r.Domain())
	for _, p := range r.Addresses {
		if s := lease.FindSighting(all, p.Addr()); s.Addr.IsValid() && (in.fromPool(p.Addr()) || a.reserved != "") {
			a.seen[i].sightings = append(a.seen[i].sightings, s)
		}
	}
}

// coverAddresses decides which addresses need no wait. If a prober is about to see one
// of them free, it waits for the prober.
func (a *attaching) coverAddresses(ctx context.Context) error {
	for i, in := range a.plan.New {
		if !a.usesSightings(in) {
			continue
		}
		link, err := a.host.LinkByIndex(a.records[i].ParentIndex)
		if err != nil {
			continue // the probe follows
		}
		a.seen[i].link = link
		if a.isProbed(i) && a.waitProber(ctx, in) {
			if err := a.Store.View(ctx, func(tx *state.Tx) error { a.readSightings(tx, i); return nil }); err != nil {
				return err
			}
		}
		a.coverOne(i)
	}
	return nil
}

// isProbed reports whether a prober is working on an address of an interface.
func (a *attaching) isProbed(i int) bool {
	for _, s := range a.seen[i].sightings {
		if s.Running(exchange.Now(), time.Duration(*a.plan.New[i].Net.ConflictTimeout)) {
			return true
		}
	}
	return false
}

// waitProber waits for the prober of a network, at most as long as a probe takes, and
// reports whether it has ended. The kernel releases its lock however it ends.
func (a *attaching) waitProber(ctx context.Context, in *Interface) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(*in.Net.ConflictTimeout))
	defer cancel()
	unlock, err := a.Store.Hold(ctx, proberKey(in.Net.Name))
	if err != nil {
		return false
	}
	unlock()
	return true
}

func (a *attaching) coverOne(i int) {
	in, seen := a.plan.New[i], &a.seen[i]
	seen.covered = nil
	for _, s := range seen.sightings {
		listen := time.Duration(*in.Net.ConflictTimeout)
		if seen.link.Carrier && s.Covers(exchange.Now(), listen, linkState(&seen.link)) {
			seen.covered = append(seen.covered, s.Addr)
		}
	}
}

func linkState(l *network.LinkInfo) lease.LinkState {
	return lease.LinkState{Index: l.Index, Changes: l.Changes}
}

// noteSeen notes the addresses of an interface that this run's own probe has seen free,
// unless the wire was another one meanwhile.
func (a *attaching) noteSeen(i int, began, listened time.Duration) {
	in, seen := a.plan.New[i], &a.seen[i]
	if !a.probesAhead(in) || !seen.link.Carrier {
		return
	}
	now, err := a.host.LinkByIndex(seen.link.Index)
	if err != nil || !now.Carrier || linkState(&now) != linkState(&seen.link) {
		return
	}
	for _, p := range a.records[i].Addresses {
		if in.fromPool(p.Addr()) && !a.isCovered(i, p.Addr()) {
			seen.noted = append(seen.noted, lease.Sighting{Addr: p.Addr(), At: began, Listened: listened, Link: linkState(&now)})
		}
	}
}

// recordSeen records the sightings of the noted addresses. A container that starts within
// [lease.SeenFor], when this one has ended, uses them without a probe.
func (a *attaching) recordSeen(tx *state.Tx, i int) error {
	if len(a.seen[i].noted) == 0 {
		return nil
	}
	return lease.See(tx, a.records[i].Domain(), exchange.Now(), a.seen[i].noted)
}

// startProber starts a prober for the networks of those interfaces for which want returns
// start = true. taken are the interface's addresses that are used without a probe of this
// run's own. An error is logged: the next start then waits for its own probe.
func (a *attaching) startProber(want func(i int) (taken []netip.Addr, start bool)) {
	var all []ProbeRequest
	for i, in := range a.plan.New {
		if !a.probesAhead(in) {
			continue
		}
		if taken, start := want(i); start {
			all = append(all, ProbeRequest{Network: in.Net.Name, Taken: taken})
		}
	}
	if len(all) == 0 {
		return
	}
	if err := a.StartProber(all); err != nil {
		a.Log.Warn("probe ahead", "error", err)
	}
}

// probeNext starts a prober for the networks whose addresses this run has to wait for,
// unless one is running.
func (a *attaching) probeNext() {
	a.startProber(func(i int) ([]netip.Addr, bool) {
		in := a.plan.New[i]
		waits := false
		for _, p := range a.records[i].Addresses {
			waits = waits || in.fromPool(p.Addr()) && !a.isCovered(i, p.Addr())
		}
		return nil, waits && !a.Store.Held(proberKey(in.Net.Name))
	})
}

// probeCovered starts a prober that probes once more for the addresses that are used
// without a wait, and for the next ones. [Hook.Reserve] has started it for those that it has
// reserved.
func (a *attaching) probeCovered() {
	if a.reserved != "" {
		return
	}
	a.startProber(func(i int) ([]netip.Addr, bool) { return a.seen[i].covered, len(a.seen[i].covered) > 0 })
}

func (a *attaching) isCovered(i int, addr netip.Addr) bool {
	return slices.Contains(a.seen[i].covered, addr)
}
