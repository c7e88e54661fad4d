package hook

import (
	"context"
	"fmt"
	"slices"

	"berth/internal/hostshim"
	"berth/internal/plumb"
	"berth/internal/state"
	"berth/specs"
)

// commitRecords records the attachments as attached, with the result, and releases the
// addresses that were found in use.
func (a *attaching) commitRecords(ctx context.Context) error {
	if len(a.records) == 0 {
		return nil
	}
	var routes hostshim.Changes // of the host, if a network has a shim
	err := a.Store.Update(ctx, func(tx *state.Tx) error {
		for i, r := range a.records {
			if err := a.commitRecord(tx, r); err != nil {
				return err
			}
			if err := a.rememberAddresses(tx, a.plan.New[i], r); err != nil {
				return err
			}
			if err := a.recordSeen(tx, i); err != nil {
				return err
			}
			if len(r.DHCP) > 0 {
				if err := a.Store.MarkLeases(); err != nil {
					return err
				}
			}
		}
		if err := a.rejected.Release(tx); err != nil {
			return err
		}
		return routes.Note(tx, a.records...)
	})
	if err != nil {
		return fmt.Errorf("record the attachment of container %q: %w", a.ids[0], err)
	}
	routes.Apply(ctx, a.Store, a.Log)
	a.attachLacked()
	return nil
}

// commitRecord records an attachment as attached.
func (a *attaching) commitRecord(tx *state.Tx, r *state.Attachment) error {
	if err := a.recheckParent(r); err != nil {
		return err
	}
	r.Phase = specs.PhaseAttached
	if err := tx.Put(r); err != nil {
		return err
	}
	if a.unenforced[r.Key()] && tx.IsEnforced(r.Domain()) {
		a.unreceived = append(a.unreceived, r)
	}
	return nil
}

// recheckParent returns errParentMoved if the parent of an interface got another index since
// the claim: the addresses are leased in the layer-2 domain of the old index, so
// another container could get them in the new one. Once attached, the attachment moves with
// its parent.
func (a *attaching) recheckParent(r *state.Attachment) error {
	link, err := a.host.LinkAtIn(r.NSID, r.LinkIndex)
	if err != nil || link.ParentIndex == r.ParentIndex {
		return nil // a link that is gone is collected
	}
	return fmt.Errorf("parent %q: %w", r.Parent, errParentMoved)
}

// undoClaim frees everything that claimResources claimed, deletes the records, and removes the
// container from those that it shares. It removes VLANs first:
// after a kill in between, the records remain and a collection finds them.
func (a *attaching) undoClaim(ctx context.Context) error {
	if a.unlockVLANs == nil {
		var err error
		if a.unlockVLANs, err = a.lockEach(ctx); err != nil {
			return err
		}
	}
	if err := a.removeVLANs(ctx); err != nil {
		return err
	}
	return a.Store.Update(ctx, func(tx *state.Tx) error {
		for _, r := range a.records {
			if err := forgetRecord(tx, r); err != nil {
				return err
			}
		}
		return a.unshareAttachments(tx)
	})
}

// removeVLANs removes the VLAN sub-interfaces that berth made and only this run
// uses. The caller holds their locks.
func (a *attaching) removeVLANs(ctx context.Context) error {
	ours := make(map[string]bool)
	for _, r := range a.records {
		ours[r.Key()] = true
	}
	for _, r := range a.records {
		if r.VLAN == 0 || r.ParentIndex == 0 {
			continue // no VLAN, or recorded but never made
		}
		leaving := func(key string) bool { return ours[key] }
		if err := plumb.RemoveVLANs(ctx, a.Store, a.host, a.Log, r.VLANs(), leaving); err != nil {
			return err
		}
	}
	return nil
}

// forgetRecord deletes a record and releases everything that it holds.
func forgetRecord(tx *state.Tx, r *state.Attachment) error {
	if err := plumb.Of(r).Forget(tx); err != nil {
		return err
	}
	if r.Slot != 0 {
		if err := tx.FreeSlot(r.Slot); err != nil {
			return err
		}
	}
	return tx.Delete(r.Key())
}

// unshareAttachments removes the container from the attachments that it only shares.
func (a *attaching) unshareAttachments(tx *state.Tx) error {
	for _, kept := range a.plan.Kept {
		if slices.Contains(kept.Containers, a.ids[0]) {
			continue // it shared the attachment before
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
