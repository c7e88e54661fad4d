package hook

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/internal/state"
	"berth/ipam"
	"berth/specs"
)

// commit records the attachments as made, with the result, and gives back the
// addresses that turned out to be in use.
func (a *attaching) commit(ctx context.Context) error {
	if len(a.records) == 0 {
		return nil
	}
	err := a.Store.Update(ctx, func(tx *state.Tx) error {
		for i, r := range a.records {
			r.Phase = specs.PhaseAttached
			if err := tx.Put(r); err != nil {
				return err
			}
			if err := a.remember(tx, a.plan.New[i], r); err != nil {
				return err
			}
		}
		for _, l := range a.rejected {
			if err := ipam.In(tx, l.of.Domain()).ReleaseAddr(l.addr, l.of.Key()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record the attachment of container %q: %w", a.ids[0], err)
	}
	return nil
}

// giveBack takes back what reserve has claimed, as if it had never been.
func (a *attaching) giveBack(ctx context.Context) error {
	var vlans []*state.Attachment
	err := a.Store.Update(ctx, func(tx *state.Tx) error {
		vlans = nil
		for _, r := range a.records {
			last, err := forget(tx, r)
			if err != nil {
				return err
			}
			if last {
				vlans = append(vlans, r)
			}
		}
		return a.unshare(tx)
	})
	for _, r := range vlans {
		err = errors.Join(err, a.removeVLAN(r))
	}
	return err
}

// forget drops a record and all that it holds. It reports whether it was the
// last user of a VLAN that berth has made.
func forget(tx *state.Tx, r *state.Attachment) (lastOfVLAN bool, err error) {
	if err := ipam.In(tx, r.Domain()).Release(r.Key()); err != nil {
		return false, err
	}
	if r.Slot != 0 {
		if err := tx.FreeSlot(r.Slot); err != nil {
			return false, err
		}
	}
	if r.VLAN != 0 {
		last, made, err := tx.RemoveVLANUser(r.TrunkIndex, r.VLAN, r.Key())
		if err != nil {
			return false, err
		}
		lastOfVLAN = last && made
	}
	return lastOfVLAN, tx.Delete(r.Key())
}

// unshare takes the container off the attachments that it only shared.
func (a *attaching) unshare(tx *state.Tx) error {
	for _, kept := range a.plan.Kept {
		if slices.Contains(kept.Containers, a.ids[0]) {
			continue // it was there before
		}
		r, err := tx.Attachment(kept.Key())
		if err != nil {
			return err
		}
		r.Containers = slices.DeleteFunc(r.Containers, func(id string) bool { return id == a.ids[0] })
		if err := tx.Put(r); err != nil {
			return err
		}
	}
	return nil
}

// removeVLAN removes a VLAN sub-interface that this run has made. Its lock is
// held.
func (a *attaching) removeVLAN(r *state.Attachment) error {
	if r.ParentIndex == 0 {
		return nil // it was recorded, and then not made
	}
	return a.host.DeleteLink(r.ParentIndex)
}
