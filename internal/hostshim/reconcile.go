package hostshim

import (
	"context"
	"errors"
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Report counts the changes that Reconcile made.
type Report struct {
	Removed []string `json:"removed,omitempty"`        // networks whose shim was incomplete or had lost its link
	Added   int      `json:"routes_added,omitempty"`   // routes to containers that had none
	Deleted int      `json:"routes_deleted,omitempty"` // routes to containers that have ended
}

// Reconcile repairs shims after killed hooks and runs: it sets routes to match
// the records and removes incomplete shims. It skips shims that another process
// has locked.
func (s *Shims) Reconcile(ctx context.Context) (done Report, err error) {
	err = s.eachShim(ctx, func(name string) error { return s.reconcileShim(ctx, name, &done) })
	return done, err
}

// FollowParents corrects the records of shims whose parent came back with another index, so
// that no container gets the address of a shim. It skips shims that another process has
// locked.
func (s *Shims) FollowParents(ctx context.Context) error {
	return s.eachShim(ctx, func(name string) error {
		return s.withLocked(ctx, name, s.Store.TryHold, func(host *network.Handle, r *Record) error {
			if r == nil {
				return nil
			}
			link := findLink(host, r)
			if link == nil {
				return nil
			}
			return s.followParent(ctx, host, r, link)
		})
	})
}

// eachShim calls fn for all shims but those that another process has locked.
func (s *Shims) eachShim(ctx context.Context, fn func(name string) error) error {
	all, err := s.allRecords(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, seen := range all {
		if err := fn(seen.Network); !errors.Is(err, state.ErrBusy) {
			errs = append(errs, wrapf(err, "host shim of %q", seen.Network))
		}
	}
	return errors.Join(errs...)
}

func (s *Shims) reconcileShim(ctx context.Context, name string, done *Report) error {
	return s.withLocked(ctx, name, s.Store.TryHold, func(host *network.Handle, r *Record) error {
		if r == nil {
			return nil
		}
		link := findLink(host, r)
		if !r.Enabled || link == nil {
			done.Removed = append(done.Removed, name)
			return s.removeShim(ctx, host, r)
		}
		if err := s.followParent(ctx, host, r, link); err != nil {
			return err
		}
		if !link.Up {
			return nil // an administrator set it down, so it has no routes
		}
		added, deleted, err := s.syncRoutes(ctx, host, name)
		done.Added += added
		done.Deleted += deleted
		return err
	})
}

func (s *Shims) allRecords(ctx context.Context) (all []*Record, err error) {
	err = s.Store.View(ctx, func(tx *state.Tx) (err error) {
		all, err = All(tx)
		return err
	})
	return all, err
}

// List returns all shims, ordered by network.
func (s *Shims) List(ctx context.Context) ([]specs.HostShim, error) {
	all, err := s.allRecords(ctx)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	host, err := network.NewHandle()
	if err != nil {
		return nil, err
	}
	defer host.Close()
	var shims []specs.HostShim
	for _, r := range all {
		shim, err := describeShim(host, r)
		if err != nil {
			return nil, err
		}
		shims = append(shims, *shim)
	}
	return shims, nil
}

// describeShim combines a record with the kernel's state.
func describeShim(host *network.Handle, r *Record) (*specs.HostShim, error) {
	shim := &specs.HostShim{
		Network: r.Network, Interface: r.Interface, State: specs.HostMaking,
		Driver: r.Driver, Mode: r.Mode, Parent: r.Parent, VLAN: r.VLAN,
		MAC: r.MAC, MTU: r.MTU, Addresses: r.Addresses, Routes: []netip.Addr{}, Created: r.Created,
	}
	link := findLink(host, r)
	switch {
	case r.Enabled && link != nil && link.Up:
		shim.State = specs.HostEnabled
	case r.Enabled:
		shim.State = specs.HostBroken
	}
	if link == nil {
		return shim, nil
	}
	routes, err := host.HostRoutes(link.Index)
	for _, route := range routes {
		shim.Routes = append(shim.Routes, route.To)
	}
	slices.SortFunc(shim.Routes, netip.Addr.Compare)
	return shim, err
}
