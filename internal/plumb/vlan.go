package plumb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"berth/internal/state"
	"berth/network"
)

// VLAN identifies a VLAN by the index of its trunk and its ID. If ID is 0, there
// is no VLAN.
type VLAN struct{ Trunk, ID int }

// Links are the operations of RemoveVLAN on interfaces. A *network.Handle of the
// host's namespace implements it.
type Links interface {
	Parent(name string) (*network.Parent, error)
	Occupants(parentIndex int) ([]network.Occupant, error)
	VLANsOn(trunkIndex int) (names []string, err error)
	DeleteLink(index int) error
}

// Chain returns the VLANs that an interface on a parent uses, the inner first:
// the VLAN with the ID makeID to make on p (if not 0), p itself if it is a VLAN,
// and those of its trunks (QinQ).
func Chain(host *network.Handle, p *network.Parent, makeID int, makeName string) ([]state.VLAN, error) {
	var all []state.VLAN
	if makeID != 0 {
		all = append(all, state.VLAN{TrunkIndex: p.Index, ID: makeID, Name: makeName})
	}
	for p.VLAN != 0 {
		all = append(all, state.VLAN{TrunkIndex: p.TrunkIndex, ID: p.VLAN, Name: p.Name})
		trunk, err := host.ParentByIndex(p.TrunkIndex)
		if err != nil {
			return nil, fmt.Errorf("trunk of %q: %w", p.Name, err)
		}
		p = trunk
	}
	return all, nil
}

// VLANsOf returns VLANs without the names of their sub-interfaces.
func VLANsOf(chain []state.VLAN) (all []VLAN) {
	for _, v := range chain {
		all = append(all, VLAN{v.TrunkIndex, v.ID})
	}
	return all
}

// LockVLANs locks each VLAN once, in one order for all callers, so that two
// callers with the same VLANs cannot deadlock.
func LockVLANs(ctx context.Context, store *state.Store, vlans []VLAN) (unlock func(), err error) {
	vlans = slices.DeleteFunc(slices.Clone(vlans), func(v VLAN) bool { return v.ID == 0 })
	slices.SortFunc(vlans, func(a, b VLAN) int { return cmp.Or(a.Trunk-b.Trunk, a.ID-b.ID) })
	var held []func()
	unlock = func() {
		for _, unlock := range slices.Backward(held) {
			unlock()
		}
		held = nil
	}
	for _, v := range slices.Compact(vlans) {
		unlock, err := store.LockVLAN(ctx, v.Trunk, v.ID)
		if err != nil {
			unlock()
			return nil, fmt.Errorf("lock VLAN %d: %w", v.ID, err)
		}
		held = append(held, unlock)
	}
	return unlock, nil
}

// RemoveVLANs is [RemoveVLAN] for each VLAN of a chain, the inner first.
func RemoveVLANs(ctx context.Context, store *state.Store, host Links, log *slog.Logger,
	chain []state.VLAN, leaving func(key string) bool) error {
	for i, v := range VLANsOf(chain) {
		if err := RemoveVLAN(ctx, store, host, log, v, chain[i].Name, leaving); err != nil {
			return err
		}
	}
	return nil
}

// RemoveVLAN removes the sub-interface of a VLAN, named name, if berth made it,
// all of its users are leaving, and no foreign interface is on it. Call it before
// the records of the leaving users end: after a crash in between, the next
// process continues here. The caller holds the VLAN's lock.
func RemoveVLAN(ctx context.Context, store *state.Store, host Links, log *slog.Logger,
	v VLAN, name string, leaving func(key string) bool) error {
	last := false
	err := store.View(ctx, func(tx *state.Tx) error {
		users, made := tx.VLANUsers(v.Trunk, v.ID)
		last = made && !slices.ContainsFunc(users, func(key string) bool { return !leaving(key) })
		return nil
	})
	if err != nil || !last {
		return err
	}
	p, err := host.Parent(name)
	switch {
	case errors.Is(err, network.ErrNoLink), errors.Is(err, network.ErrVLAN):
		return nil
	case err != nil:
		return fmt.Errorf("VLAN %q: %w", name, err)
	case p.TrunkIndex != v.Trunk || p.VLAN != v.ID:
		return nil // another VLAN with this name
	}
	others, err := host.Occupants(p.Index)
	if err != nil {
		return fmt.Errorf("VLAN %q: %w", name, err)
	}
	above, err := host.VLANsOn(p.Index)
	if err != nil {
		return fmt.Errorf("VLAN %q: %w", name, err)
	}
	if len(others) > 0 || len(above) > 0 || p.Upper != 0 {
		log.Warn("VLAN interface kept, because another interface uses it", "interface", p.Name, "vlan", p.VLAN)
		return nil
	}
	if err := host.DeleteLink(p.Index); err != nil && !network.IsGone(err) {
		return fmt.Errorf("VLAN %q: %w", name, err)
	}
	return nil
}
