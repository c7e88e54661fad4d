package hook

import (
	"slices"

	"berth/internal/state"
)

// isSameVLAN reports whether a VLAN of an attachment, counted from the inner one, has the same
// sub-interface as before: one that still exists, or that a killed healer has made.
func isSameVLAN(old, now *state.Attachment, i int) bool {
	was, is := old.VLANs(), now.VLANs()
	if i >= min(len(was), len(is)) || was[i].TrunkIndex != is[i].TrunkIndex || was[i].ID != is[i].ID {
		return false
	}
	if i == 0 {
		return now.ParentIndex != 0 && now.ParentIndex == old.ParentIndex
	}
	return was[i-1].TrunkIndex == is[i-1].TrunkIndex // the index of this sub-interface
}

// disownRemade records that a VLAN is another program's, if that program has made it again in place of
// the one that berth made.
func disownRemade(tx *state.Tx, old, r *state.Attachment, in *Interface) error {
	if r.VLAN == 0 || in.MakeVLAN != 0 || isSameVLAN(old, r, 0) {
		return nil
	}
	all, err := tx.InDomain(r.Domain())
	onIt := func(a *state.Attachment) bool { return a.ParentIndex == r.ParentIndex && !a.Lost }
	if err != nil || slices.ContainsFunc(all, onIt) {
		return err
	}
	return tx.DisownVLAN(r.TrunkIndex, r.VLAN)
}
