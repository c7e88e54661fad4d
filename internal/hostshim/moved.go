package hostshim

import (
	"context"

	"berth/internal/lease"
	"berth/internal/state"
	"berth/network"
)

// followParent corrects the record of a shim whose parent came back from another
// network namespace with another index: its leases and its use of a VLAN move to
// the layer-2 domain of the containers.
func (s *Shims) followParent(ctx context.Context, host *network.Handle, r *Record, link *network.LinkInfo) error {
	if link.ParentNSID >= 0 || link.ParentIndex == 0 {
		return nil // the parent is in another namespace
	}
	p, err := host.ParentByIndex(link.ParentIndex)
	if err != nil || p.Index == r.ParentIndex && p.TrunkIndex == r.TrunkIndex {
		return nil // the parent was just deleted, or has not moved
	}
	now := *r
	now.Parent, now.ParentIndex, now.TrunkIndex, now.VLAN = p.Name, p.Index, p.TrunkIndex, p.VLAN
	err = s.Store.Update(ctx, func(tx *state.Tx) error {
		if held, err := lease.Move(tx, r.key(), r.domain(), now.domain()); err != nil || len(held) > 0 {
			now = *r // it moves when the others have ended
			return err
		}
		if r.VLAN != 0 && now.VLAN != 0 {
			_, made := tx.VLANUsers(r.TrunkIndex, r.VLAN)
			if _, _, err := tx.RemoveVLANUser(r.TrunkIndex, r.VLAN, r.key()); err != nil {
				return err
			}
			if err := tx.AddVLANUser(now.TrunkIndex, now.VLAN, r.key(), made); err != nil {
				return err
			}
		}
		return putRecord(tx, &now)
	})
	if err == nil {
		*r = now
	}
	return wrapf(err, "parent %q has another index", p.Name)
}
