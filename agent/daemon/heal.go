package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// healAgain is the shortest interval between two marks: interfaces that cannot be made
// again are not tried more often.
const healAgain = 10 * time.Second

// markVanished makes the mark for which `berth heal` is started, if the parent of an interface
// that vanished is back. The agent itself may not enter namespaces.
func (a *Agent) markVanished(w *world) error {
	back := w.healable()
	back = slices.DeleteFunc(back, func(r *record) bool {
		_, err := a.inside(int(r.nsid), r.Interface)
		return err == nil && !r.lost // its parent is in another namespace, and so it exists
	})
	if len(back) == 0 || time.Since(a.healMarked) < healAgain {
		return nil
	}
	a.healMarked = time.Now()
	if err := a.store.MarkHeal(); err != nil {
		return fmt.Errorf("mark interfaces that vanished, for `berth heal`: %w", err)
	}
	a.log.Info("interfaces that vanished with their parent can be made again", "interfaces", len(back),
		"first", back[0].key, "parent", back[0].Parent)
	return nil
}

// recordVanished records that the interfaces of attachments vanished with their parent.
func (a *Agent) recordVanished(ctx context.Context, w *world) error {
	gone := slices.DeleteFunc(w.orphans(), func(r *record) bool {
		_, err := a.inside(int(r.nsid), r.Interface)
		return !network.IsGone(err) // its parent was renamed, or is in another namespace
	})
	if len(gone) == 0 {
		return nil
	}
	err := a.store.Update(ctx, func(tx *state.Tx) error {
		for _, r := range gone {
			at, err := tx.Attachment(r.key)
			if errors.Is(err, state.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			if at.Created.UnixNano() != r.Created || at.Phase != specs.PhaseAttached || at.Lost || at.Leaving {
				continue // it is being made again, or released
			}
			at.Vanished = time.Now().UTC()
			if err := tx.Put(at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record interfaces that vanished: %w", err)
	}
	return nil
}

// orphans returns the records whose parent is gone and that are not recorded as vanished.
func (w *world) orphans() (all []*record) {
	names := w.linkNames()
	for _, r := range w.records {
		lives := r.phase == specs.PhaseAttached && !r.observed && r.nsid >= 0 && r.parentIndex != 0 && !r.lost
		if lives && r.rareFacts().vanished == 0 && names[r.parentIndex] != r.Parent {
			all = append(all, r)
		}
	}
	return all
}

// linkNames returns the names of the host's links by their indexes: another link can have the index of a
// parent that is gone.
func (w *world) linkNames() map[int]string {
	names := make(map[int]string, len(w.links))
	for i := range w.links {
		names[w.links[i].index] = w.links[i].name
	}
	return names
}

// healable returns the records whose parent was removed and exists again.
func (w *world) healable() (back []*record) {
	names := w.linkNames()
	for _, r := range w.records {
		waits := r.phase == specs.PhaseAttached && !r.observed && !r.noHeal && r.nsid >= 0 && r.parentIndex != 0
		if waits && (r.lost || names[r.parentIndex] != r.Parent) && w.isUsable(w.parentName(r)) {
			back = append(back, r)
		}
	}
	return back
}

// parentName returns the parent's name as the network's file has it now, else the recorded one.
func (w *world) parentName(r *record) string {
	for _, n := range w.networks {
		if n.Name == r.Network {
			return n.Parent
		}
	}
	return r.Parent
}

// isUsable reports whether a parent exists and is up, or the trunk of a VLAN that berth makes.
func (w *world) isUsable(parent string) bool {
	l, ok := w.linkOfParent(parent)
	if trunk, _, isVLAN := specs.SplitVLAN(parent); !ok && isVLAN {
		l, ok = w.linkOfParent(trunk)
	}
	return ok && l.up && l.ethernet
}

// healEvents returns the event of an interface that has vanished, or was made again, since the previous
// reading.
func healEvents(old, now *record) []specs.Event {
	if old == nil || old.Created != now.Created || !now.isLive() {
		return nil
	}
	was, is := old.rareFacts(), now.rareFacts()
	e := specs.Event{Time: time.Now(), Certainty: specs.Certain, Evidence: specs.ByNetlink, Parent: now.Parent,
		Sender: partyOf(now)}
	switch {
	case is.healed != was.healed:
		e.Kind = specs.InterfaceHealed
		e.Detail = fmt.Sprintf("%s vanished with its parent and was made again on %s", now.Interface, now.Parent)
	case is.vanished != was.vanished && is.vanished != 0:
		e.Kind = specs.InterfaceVanished
		e.Detail = fmt.Sprintf("%s vanished with its parent %s", now.Interface, now.Parent)
	default:
		return nil
	}
	return []specs.Event{e}
}
