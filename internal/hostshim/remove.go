package hostshim

import (
	"context"
	"errors"

	"berth/internal/plumb"
	"berth/internal/state"
	"berth/network"
)

// removeShim removes all parts of a shim: the link with its addresses and routes, the
// VLAN if only the shim uses it, the leases and the record. Each step can be
// repeated; the record is deleted last. The caller holds the network's key.
func (s *Shims) removeShim(ctx context.Context, host *network.Handle, r *Record) error {
	r.Enabled = false
	err := s.Store.Update(ctx, func(tx *state.Tx) error { return putRecord(tx, r) })
	if err == nil {
		err = s.logStep("say that it goes")
	}
	if err != nil {
		return err
	}
	if l := findLink(host, r); l != nil {
		if err := host.DeleteLink(l.Index); err != nil && !errors.Is(err, network.ErrNoLink) {
			return err
		}
	}
	if err := s.logStep("delete the interface"); err != nil {
		return err
	}
	if r.VLAN != 0 {
		vlans := r.vlans()
		unlock, err := plumb.LockVLANs(ctx, s.Store, plumb.VLANsOf(vlans))
		if err != nil {
			return err
		}
		defer unlock()
		only := func(key string) bool { return key == r.key() }
		if err := plumb.RemoveVLANs(ctx, s.Store, host, s.Log, vlans, only); err != nil {
			return err
		}
	}
	if err := s.logStep("delete the VLAN"); err != nil {
		return err
	}
	if err := s.Store.Update(ctx, func(tx *state.Tx) error { return forgetRecord(tx, r) }); err != nil {
		return err
	}
	return s.logStep("forget")
}

// forgetRecord deletes the record and releases everything that it holds.
func forgetRecord(tx *state.Tx, r *Record) error {
	if err := r.stake().Forget(tx); err != nil {
		return err
	}
	return tx.Bucket(bucketShims).Delete([]byte(r.Network))
}
