package hostshim

import (
	"context"
	"errors"
	"fmt"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
)

// remove takes away what there is of a shim: the link, with its addresses and
// routes, the VLAN that only it uses, the leases and the record. Each step can
// be repeated; the record goes last. The caller holds the network's key.
func (s *Shims) remove(ctx context.Context, host *network.Handle, r *Record) error {
	r.Enabled = false
	err := s.Store.Update(ctx, func(tx *state.Tx) error { return put(tx, r) })
	if err == nil {
		err = s.step("say that it goes")
	}
	if err != nil {
		return err
	}
	if l := findLink(host, r); l != nil {
		if err := host.DeleteLink(l.Index); err != nil && !errors.Is(err, network.ErrNoLink) {
			return err
		}
	}
	if err := s.step("delete the interface"); err != nil {
		return err
	}
	if r.VLAN != 0 {
		unlock, err := s.Store.LockVLAN(ctx, r.TrunkIndex, r.VLAN)
		if err != nil {
			return fmt.Errorf("lock VLAN %d: %w", r.VLAN, err)
		}
		defer unlock()
		if err := s.removeVLAN(ctx, host, r); err != nil {
			return fmt.Errorf("VLAN %q: %w", r.Parent, err)
		}
	}
	if err := s.step("delete the VLAN"); err != nil {
		return err
	}
	if err := s.Store.Update(ctx, func(tx *state.Tx) error { return forget(tx, r) }); err != nil {
		return err
	}
	return s.step("forget")
}

// removeVLAN deletes the sub-interface that the shim was on if berth made it
// and neither another of berth's nor anybody else has come to stand on it.
func (s *Shims) removeVLAN(ctx context.Context, host *network.Handle, r *Record) error {
	var last bool
	err := s.Store.View(ctx, func(tx *state.Tx) error {
		users, made := tx.VLANUsers(r.TrunkIndex, r.VLAN)
		last = made && len(users) == 1 && users[0] == r.key()
		return nil
	})
	if err != nil || !last {
		return err
	}
	p, err := host.Parent(r.Parent)
	switch {
	case errors.Is(err, network.ErrNoLink), errors.Is(err, network.ErrVLAN):
		return nil
	case err != nil:
		return err
	case p.TrunkIndex != r.TrunkIndex || p.VLAN != r.VLAN:
		return nil // another one's, under this name
	}
	others, err := host.Occupants(p.Index)
	if err != nil {
		return err
	}
	if len(others) > 0 || p.Upper != 0 {
		s.Log.Warn("VLAN interface left, something else uses it", "interface", p.Name, "vlan", p.VLAN)
		return nil
	}
	if err := host.DeleteLink(p.Index); !errors.Is(err, network.ErrNoLink) {
		return err
	}
	return nil
}

// forget drops the record and all that it holds.
func forget(tx *state.Tx, r *Record) error {
	if err := lease.In(tx, r.domain()).Release(r.key()); err != nil {
		return err
	}
	if r.VLAN != 0 {
		if _, _, err := tx.RemoveVLANUser(r.TrunkIndex, r.VLAN, r.key()); err != nil {
			return err
		}
	}
	return tx.Bucket(bucketShims).Delete([]byte(r.Network))
}
