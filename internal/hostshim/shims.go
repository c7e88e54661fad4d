package hostshim

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Shims makes and removes host shims in the namespace of the process. Several
// processes may call its methods at once.
type Shims struct {
	Store *state.Store
	Log   *slog.Logger

	// Step, if set, is called with the name of each completed step; an error of
	// it fails the run there. Tests fail and kill runs with it.
	Step func(name string) error
}

func (s *Shims) logStep(name string) error {
	if s.Step == nil {
		return nil
	}
	return s.Step(name)
}

// Enable makes the shim of a network, with routes to its current containers, or
// returns an error and leaves nothing. An existing shim is repaired and kept:
// ips, the requested addresses, must then be among its addresses.
func (s *Shims) Enable(ctx context.Context, n *specs.Network, ips []netip.Addr) (*specs.HostShim, error) {
	var shim *specs.HostShim
	err := s.withExclusive(ctx, n.Name, func(host *network.Handle, old *Record) (err error) {
		if old == nil || !old.Enabled || findLink(host, old) == nil {
			old, err = s.replaceShim(ctx, host, old, n, ips)
		} else if err = old.checkRequest(n, ips); err == nil {
			err = s.restoreMissing(ctx, host, old)
		}
		if err == nil {
			shim, err = describeShim(host, old)
		}
		return err
	})
	return shim, wrapf(err, "host shim of %q", n.Name)
}

// Disable removes the shim of a network, with its routes and addresses. It
// returns the shim as it was before, or nil if there was none.
func (s *Shims) Disable(ctx context.Context, name string) (*specs.HostShim, error) {
	var shim *specs.HostShim
	err := s.withExclusive(ctx, name, func(host *network.Handle, r *Record) (err error) {
		if r == nil {
			return nil
		}
		if shim, err = describeShim(host, r); err != nil {
			return err
		}
		return s.removeShim(ctx, host, r)
	})
	return shim, wrapf(err, "host shim of %q", name)
}

// withExclusive runs fn with the shim's record while no other process makes or removes
// the shim.
func (s *Shims) withExclusive(ctx context.Context, name string, fn func(*network.Handle, *Record) error) error {
	return s.withLocked(ctx, name, func(key string) (func(), error) { return s.Store.Hold(ctx, key) }, fn)
}

// withLocked is withExclusive, with the function that locks the key.
func (s *Shims) withLocked(ctx context.Context, name string, hold func(key string) (func(), error),
	fn func(*network.Handle, *Record) error) error {
	unlock, err := hold(Key(name))
	if err != nil {
		return err
	}
	defer unlock()
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	var r *Record
	err = s.Store.View(ctx, func(tx *state.Tx) (err error) {
		r, err = Get(tx, name)
		return err
	})
	if err != nil {
		return err
	}
	return fn(host, r)
}

// replaceShim makes a shim after it removed the remains of the old one.
func (s *Shims) replaceShim(ctx context.Context, host *network.Handle, old *Record, n *specs.Network,
	ips []netip.Addr) (*Record, error) {
	if old != nil {
		if err := s.removeShim(ctx, host, old); err != nil {
			return nil, err
		}
	}
	e := &enabling{Shims: s, host: host}
	defer e.unlockVLANs()
	if err := e.preparePlan(ctx, n, ips); err != nil {
		return nil, err
	}
	err := e.runSteps(ctx)
	if err == nil {
		return e.rec, nil
	}
	e.unlockVLANs()
	if e.reserved {
		err = errors.Join(err, s.removeShim(context.WithoutCancel(ctx), host, e.rec))
	}
	return nil, err
}

// checkRequest returns an error if an existing shim does not match the request.
func (r *Record) checkRequest(n *specs.Network, ips []netip.Addr) error {
	again := fmt.Sprintf("berth host disable %s, then berth host enable", r.Network)
	if n.Parent != r.Wanted || n.Driver != r.Driver || n.Mode != r.Mode || n.IPvlanFlag != r.IPvlanFlag {
		return fmt.Errorf("the network is now %s %s on %s, and interface %q was made for %s %s on %s; remake it: %s",
			n.Driver, n.Mode, n.Parent, r.Interface, r.Driver, r.Mode, r.Wanted, again)
	}
	for _, p := range r.Addresses {
		if n.SubnetOf(p.Addr()) == nil {
			return fmt.Errorf("the network's subnets no longer contain %[2]s of interface %[1]q; remake it: %[3]s",
				r.Interface, p, again)
		}
	}
	for _, ip := range ips {
		if !slices.ContainsFunc(r.Addresses, func(p netip.Prefix) bool { return p.Addr() == ip }) {
			return fmt.Errorf("interface %q exists already with %v, not with %s; to change that: %s", r.Interface,
				r.Addresses, ip, again)
		}
	}
	return nil
}

// restoreMissing restores the missing parts of a shim whose link exists.
func (s *Shims) restoreMissing(ctx context.Context, host *network.Handle, r *Record) error {
	if err := host.SetUp(r.LinkIndex); err != nil {
		return err
	}
	if err := addAddresses(host, r); err != nil {
		return err
	}
	_, _, err := s.syncRoutes(ctx, host, r.Network)
	return err
}

// addAddresses adds the addresses to the link, each with a full-length prefix, so
// that the kernel adds no route to the subnet.
func addAddresses(host *network.Handle, r *Record) error {
	for _, p := range r.Addresses {
		alone := netip.PrefixFrom(p.Addr(), p.Addr().BitLen())
		if err := host.AddAddress(r.LinkIndex, alone, true); err != nil && !errors.Is(err, network.ErrExists) {
			return fmt.Errorf("restore address %s of interface %q: %w", alone, r.Interface, err)
		}
	}
	return nil
}

// findLink returns the link of a shim, or nil if it is deleted. The link may have
// been renamed.
func findLink(host *network.Handle, r *Record) *network.LinkInfo {
	if l, err := host.LinkByName(r.Interface); err == nil && r.isOurs(&l) {
		return &l
	}
	if l, err := host.LinkByIndex(r.LinkIndex); r.LinkIndex != 0 && err == nil && r.isOurs(&l) {
		return &l
	}
	return nil
}

// isOurs reports whether a link is the shim's and not another with its name. A
// run that was killed before it set the alias left a link without one.
func (r *Record) isOurs(l *network.LinkInfo) bool {
	if l.Alias == "" && !r.Enabled {
		return l.Driver == r.Driver && l.MAC == r.MAC // the parent may have another index since then
	}
	return l.Alias == r.alias()
}

// wrapf adds text before an error; it returns nil for nil.
func wrapf(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
