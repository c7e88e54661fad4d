package daemon

import (
	"fmt"
	"slices"
	"time"

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

// healable returns the records whose parent was removed and exists again.
func (w *world) healable() (back []*record) {
	names := make(map[int]string, len(w.links)) // another link can have the index of a parent that is gone
	for i := range w.links {
		names[w.links[i].index] = w.links[i].name
	}
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

// healEvents returns the event of an interface that was made again since the previous reading.
func healEvents(old, now *record) []specs.Event {
	if old == nil || old.Created != now.Created || !now.isLive() || now.rareFacts().healed == old.rareFacts().healed {
		return nil
	}
	return []specs.Event{{
		Time: time.Now(), Kind: specs.InterfaceHealed, Certainty: specs.Certain, Evidence: specs.ByNetlink,
		Parent: now.Parent, Sender: partyOf(now),
		Detail: fmt.Sprintf("%s vanished with its parent and was made again on %s", now.Interface, now.Parent),
	}}
}
