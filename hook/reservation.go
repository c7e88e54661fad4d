package hook

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"berth/dhcp/exchange"
	"berth/internal/config"
	"berth/internal/lease"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/ipam"
	"berth/network"
	"berth/specs"
)

// Wanted is an address that an engine requests before the container has a network namespace.
type Wanted struct {
	Pool      string          // the engine's name of its pool, see [Sandbox.Reserved]
	Selection specs.Selection // the network
	Subnet    netip.Prefix    // of the network
	Range     netip.Prefix    // the part of the network's own range to choose from, or the zero Prefix for all
	Addr      netip.Addr      // requested by a user, or the zero Addr for the next free one
}

// reservation is the work on one Wanted.
type reservation struct {
	*Hook
	*Wanted
	net         *specs.Network
	addressPool *ipam.Pool
	parent      *network.Parent // the trunk if the VLAN does not exist yet
	makeVLAN    bool
	domain      string
	rejected    []netip.Addr // reserved, and in use on the LAN
}

// Reserve leases an address for a container that its engine is about to start. [Hook.Attach] takes
// it over, and [Hook.Unreserve] ends the reservation. An address that another machine on the LAN
// has is not returned.
func (h *Hook) Reserve(ctx context.Context, w *Wanted) (netip.Prefix, error) {
	host, err := network.NewHandle()
	if err != nil {
		return netip.Prefix{}, err
	}
	defer host.Close()
	h.host = host
	r, err := h.newReservation(w)
	if err != nil {
		return netip.Prefix{}, err
	}
	addr, err := r.choose(ctx)
	if heldByOther(err) {
		report, collectErr := h.newReleaser().Collect(ctx, collectAll)
		if collectErr != nil {
			return netip.Prefix{}, errors.Join(err, collectErr)
		}
		if len(report.Released) > 0 {
			addr, err = r.choose(ctx)
		}
	}
	if h.growPool(ctx, err) {
		addr, err = r.choose(ctx)
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	return netip.PrefixFrom(addr, r.addressPool.Prefix().Bits()), nil
}

// newReservation finds the network, its parent and its pool.
func (h *Hook) newReservation(w *Wanted) (*reservation, error) {
	cfg, err := config.Load(h.Dirs.Config)
	if err != nil {
		return nil, err
	}
	s := w.Selection
	if w.Addr.IsValid() {
		s.IPs = []specs.IP{{Addr: w.Addr, Bits: -1}}
	}
	requests, err := h.resolveSelections(new(Sandbox), []specs.Selection{s}, &cfg.Policy)
	if err != nil {
		return nil, err
	}
	if err := checkClustered(requests, &cfg); err != nil {
		return nil, err
	}
	r := &reservation{Hook: h, Wanted: w, net: requests[0].Net}
	subnet := r.net.SubnetOf(w.Subnet.Addr())
	if subnet == nil || subnet.Subnet != w.Subnet {
		return nil, specs.Invalid("subnet", w.Subnet.String(), "a subnet of the network: %s", subnetsText(r.net))
	}
	own, err := h.host.Addresses()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of the host: %w", err)
	}
	r.addressPool = ipam.PoolOf(r.net, *subnet, own)
	if err := r.narrow(); err != nil {
		return nil, err
	}
	return r, r.setDomain()
}

// narrow limits the pool to the engine's part of the subnet. It refuses a part that has no
// address of the network's own range, because another host may give out all others.
func (r *reservation) narrow() error {
	if !r.Range.IsValid() {
		return nil
	}
	if own := r.addressPool.Range(); !own.Overlaps(r.Range) {
		return specs.Unusable("--ip-range", r.Range.String(), "network %q gives out addresses of %s; create the engine's "+
			"network again without --ip-range, or with a part of that range", r.net.Name, own)
	}
	r.addressPool = r.addressPool.Within(r.Range)
	return nil
}

// setDomain finds the parent and its layer-2 domain.
func (r *reservation) setDomain() error {
	f := emptyFacts()
	if err := r.gatherParent(f, r.net); err != nil {
		return err
	}
	r.parent = f.Parents[r.net.Parent]
	at := state.Attachment{ParentIndex: r.parent.Index}
	if vlans := f.VLANs[r.net.Parent]; len(vlans) > 0 {
		at.TrunkIndex, at.VLAN = vlans[0].TrunkIndex, vlans[0].ID
	}
	r.domain, r.makeVLAN = at.Domain(), f.MakeVLAN[r.net.Parent] != 0
	return nil
}

// maxRejected bounds the addresses that one request probes for.
const maxRejected = 16

// choose leases addresses until one is found that no machine on the LAN has.
func (r *reservation) choose(ctx context.Context) (addr netip.Addr, err error) {
	defer func() { err = errors.Join(err, r.returnRejected(ctx)) }()
	for len(r.rejected) < maxRejected {
		err := r.Store.Update(ctx, func(tx *state.Tx) (err error) {
			addr, err = r.lease(tx)
			return err
		})
		if err != nil {
			return addr, err
		}
		if err := r.logStep("lease"); err != nil {
			return addr, err
		}
		conflicts, err := r.probeParent(ctx, addr)
		if err == nil && len(conflicts) == 0 {
			return addr, nil
		}
		r.rejected = append(r.rejected, addr)
		if err == nil && r.Addr.IsValid() {
			err = plumb.Taken(conflicts[0])
		}
		if err != nil {
			return addr, err
		}
		r.Log.Warn("address in use on the LAN, taking the next", "address", addr, "by", conflicts[0].MAC,
			"network", r.net.Name)
	}
	return addr, fmt.Errorf("%w: %d addresses of the pool in a row; set ip_range to a part of the subnet that only "+
		"this host uses",
		plumb.ErrConflict, maxRejected)
}

// lease leases the requested address or the next free one.
func (r *reservation) lease(tx *state.Tx) (netip.Addr, error) {
	leases := lease.In(tx, r.domain)
	if r.Addr.IsValid() {
		return r.Addr, r.leaseRequested(tx, leases)
	}
	free := leases.NextFree(r.addressPool, maxStillReserved)
	if len(free) == 0 {
		return leases.Take(r.addressPool, lease.Owner{}) // which returns the error that names the holders
	}
	for _, a := range free {
		held, err := lease.FindReservation(tx, r.key(a))
		if err != nil {
			return a, err
		}
		if held == nil {
			return a, r.put(tx, leases, a)
		}
	}
	return netip.Addr{}, fmt.Errorf("the next %d addresses of %s without a lease are still reserved by the engine, for "+
		"containers that have ended; start the container again", len(free), r.addressPool.Range())
}

// maxStillReserved bounds the number of addresses without a lease among which a request searches for
// one without a reservation.
const maxStillReserved = 16

// leaseRequested leases a requested address. An engine that lost the answer to a request repeats
// it, so a reservation without an endpoint is no obstacle.
func (r *reservation) leaseRequested(tx *state.Tx, leases *lease.Leases) error {
	held, err := lease.FindReservation(tx, r.key(r.Addr))
	if err != nil {
		return err
	}
	if held != nil && held.Endpoint != "" {
		return &lease.InUseError{Holder: lease.Lease{Addr: r.Addr, Network: held.Network, Reserved: true}}
	}
	return r.put(tx, leases, r.Addr)
}

func (r *reservation) put(tx *state.Tx, leases *lease.Leases, a netip.Addr) error {
	one := &lease.Reservation{Key: r.key(a), Domain: r.domain, Addr: a, Network: r.net.Name, Since: exchange.Now()}
	if err := leases.Claim(r.addressPool, a, one.Owner()); err != nil {
		return err
	}
	return lease.PutReservation(tx, one)
}

func (r *reservation) key(a netip.Addr) string { return lease.ReservationKey(r.Pool, a) }

// returnRejected frees the addresses that are in use on the LAN. They were kept so that none was
// chosen again.
func (r *reservation) returnRejected(ctx context.Context) error {
	if len(r.rejected) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), holdWait)
	defer cancel()
	return r.Store.Update(ctx, func(tx *state.Tx) error {
		for _, a := range r.rejected {
			if err := lease.EndReservation(tx, r.key(a)); err != nil {
				return err
			}
		}
		r.rejected = nil
		return nil
	})
}
