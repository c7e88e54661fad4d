package hostshim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Changes are the addresses that containers of networks with a shim got or
// released. The zero value is empty.
type Changes struct{ of map[string]*routeChange }

type routeChange struct {
	domain    string
	addresses []netip.Addr
}

// Note adds the addresses of attachments, in the transaction that makes or ends
// them. It costs one look-up if the network has no shim.
func (c *Changes) Note(tx *state.Tx, all ...*state.Attachment) error {
	for _, a := range all {
		r, err := Get(tx, a.Network)
		if err != nil {
			return err
		}
		if r == nil || r.domain() != a.Domain() {
			continue
		}
		if c.of == nil {
			c.of = make(map[string]*routeChange)
		}
		if c.of[a.Network] == nil {
			c.of[a.Network] = &routeChange{domain: a.Domain()}
		}
		c.of[a.Network].addresses = append(c.of[a.Network].addresses, addrsOf(a.Addresses)...)
	}
	return nil
}

// Apply sets the host's routes to the noted addresses to match the records, after
// that transaction. Errors are logged and left to [Shims.Reconcile]: a container
// works without these routes.
func (c *Changes) Apply(ctx context.Context, store *state.Store, log *slog.Logger) {
	s := &Shims{Store: store, Log: log}
	for name, change := range c.of {
		if err := s.followRoutes(ctx, name, change); err != nil {
			log.Warn("routes of the host to its containers", "network", name, "error", err)
		}
	}
	c.of = nil
}

// followRoutes sets the routes to some addresses. Under the lock, the last process also
// reads the records last, so the order of hooks does not matter.
func (s *Shims) followRoutes(ctx context.Context, name string, of *routeChange) error {
	unlock, err := s.Store.Hold(ctx, routesKey(name))
	if err != nil {
		return err
	}
	defer unlock()
	var r *Record
	var add, remove []network.HostRoute
	err = s.Store.View(ctx, func(tx *state.Tx) (err error) {
		if r, err = Get(tx, name); err != nil || r == nil || !r.Enabled {
			return err
		}
		add, remove, err = r.decideRoutes(tx, of)
		return err
	})
	if err != nil || len(add)+len(remove) == 0 {
		return err
	}
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	return setRoutes(host, r, add, remove)
}

func routesKey(network string) string { return "routes/" + network }

// decideRoutes separates the addresses that a container holds from those that none
// does.
func (r *Record) decideRoutes(tx *state.Tx, of *routeChange) (add, remove []network.HostRoute, err error) {
	for _, addr := range of.addresses {
		has, err := isContainers(tx, of.domain, r.Network, addr)
		if err != nil {
			return nil, nil, err
		}
		route := network.HostRoute{To: addr, Src: r.sourceTo(addr)}
		switch {
		case !route.Src.IsValid(): // the subnet is newer than the shim
		case has:
			add = append(add, route)
		default:
			remove = append(remove, route)
		}
	}
	return add, remove, nil
}

// setRoutes continues after a route that cannot be set.
func setRoutes(host *network.Handle, r *Record, add, remove []network.HostRoute) error {
	var errs []error
	for _, route := range remove {
		errs = append(errs, host.DeleteHostRoute(r.LinkIndex, route))
	}
	for _, route := range add {
		errs = append(errs, addRoute(host, r, route))
	}
	return errors.Join(errs...)
}

// isContainers reports whether a container of the network holds an address.
func isContainers(tx *state.Tx, domain, name string, addr netip.Addr) (bool, error) {
	lease, err := lease.In(tx, domain).Holder(addr)
	if err != nil || lease == nil {
		return false, err
	}
	a, err := tx.Attachment(lease.Owner)
	if errors.Is(err, state.ErrNotFound) {
		return false, nil
	}
	return err == nil && isReached(a, name) && slices.Contains(addrsOf(a.Addresses), addr), err
}

// isReached reports whether the shim of a network has routes to an attachment.
func isReached(a *state.Attachment, name string) bool {
	return a.Network == name && a.Phase == specs.PhaseAttached
}

// addRoute adds a route; if the shim's link is deleted it does nothing.
func addRoute(host *network.Handle, r *Record, route network.HostRoute) error {
	err := host.AddHostRoute(r.LinkIndex, route)
	switch {
	case errors.Is(err, network.ErrNoLink):
		return nil
	case errors.Is(err, network.ErrExists):
		return fmt.Errorf("%s is on network %q, but the host has another route to it: ip route show %[1]s",
			route.To, r.Network)
	}
	return err
}

// syncRoutes sets all routes of a shim to match the records.
func (s *Shims) syncRoutes(ctx context.Context, host *network.Handle, name string) (added, deleted int, err error) {
	unlock, err := s.Store.Hold(ctx, routesKey(name))
	if err != nil {
		return 0, 0, err
	}
	defer unlock()
	r, want, err := s.wantedRoutes(ctx, name)
	if err != nil || r == nil {
		return 0, 0, err
	}
	have, err := host.HostRoutes(r.LinkIndex)
	if err != nil {
		return 0, 0, err
	}
	add, remove := routesWithout(want, have), routesWithout(have, want)
	return len(add), len(remove), setRoutes(host, r, add, remove)
}

// wantedRoutes returns the routes that a shim should have, or no record if there is no
// complete shim.
func (s *Shims) wantedRoutes(ctx context.Context, name string) (r *Record, want []network.HostRoute, err error) {
	err = s.Store.View(ctx, func(tx *state.Tx) (err error) {
		if r, err = Get(tx, name); err != nil || r == nil || !r.Enabled {
			r = nil
			return err
		}
		for a, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if !isReached(a, name) || a.Domain() != r.domain() {
				continue
			}
			for _, addr := range addrsOf(a.Addresses) {
				if src := r.sourceTo(addr); src.IsValid() {
					want = append(want, network.HostRoute{To: addr, Src: src})
				}
			}
		}
		return nil
	})
	return r, want, err
}

// routesWithout returns the elements of all that are not in without.
func routesWithout(all, without []network.HostRoute) (rest []network.HostRoute) {
	in := make(map[network.HostRoute]bool, len(without))
	for _, route := range without {
		in[route] = true
	}
	for _, route := range all {
		if !in[route] {
			rest = append(rest, route)
		}
	}
	return rest
}
