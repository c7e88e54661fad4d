package hook

import (
	"context"
	"errors"
	"fmt"

	"berth/internal/release"
	"berth/internal/state"
)

// register puts the endpoints into the agent's maps before they can send, and
// the agent's programs on a parent that does not have them. The record is
// committed first and the maps are looked for after it; the agent pins first
// and reads the records after it: so none falls between.
//
// Counting is the agent's matter: whatever is wrong with what it has pinned, or
// half removed, the container starts. What could not be registered the agent
// registers itself once it has pinned everything again.
func (a *attaching) register(ctx context.Context) error {
	var err error
	if a.maps, err = a.Hook.maps(); err != nil {
		a.uncounted("all", err)
		a.maps = nil
	}
	if a.maps == nil {
		return nil
	}
	a.free = append(a.free, func() { a.maps.Close() })
	a.attachParents()
	// A drain, which is a transaction, may be about to delete the keys of the
	// MAC's last owner: not while we are in here.
	return a.Store.Exclude(ctx, func() error {
		a.registerAll()
		return nil
	})
}

// uncounted warns that an interface is not counted, or not yet.
func (a *attaching) uncounted(name string, err error) {
	a.Log.Warn("not counted until the agent has put it right; see berth agent status", "interface", name, "error", err)
}

// attachParents puts the programs on each parent once.
func (a *attaching) attachParents() {
	done := make(map[int]bool)
	for _, r := range a.records {
		if done[r.ParentIndex] || !a.hasSlot(r) {
			continue
		}
		done[r.ParentIndex] = true
		p, err := a.host.Parent(r.Parent)
		if err == nil {
			err = a.maps.AttachParent(r.ParentIndex, p.MAC, a.by)
		}
		if err != nil {
			a.uncounted(r.Interface, err)
		}
	}
}

func (a *attaching) registerAll() {
	for _, r := range a.records {
		if !a.hasSlot(r) {
			continue
		}
		if err := a.maps.Register(release.Endpoint(r)); err != nil {
			a.uncounted(r.Interface, fmt.Errorf("register with the agent's maps: %w", err))
			continue
		}
		a.undo.push("register "+r.Interface, func(context.Context) error {
			// Its probes were counted; the slot's next owner did not send them.
			return errors.Join(a.maps.Unregister(release.Endpoint(r)), a.maps.Zero(r.Slot))
		})
	}
}

// registerAgain registers an attachment whose addresses have changed.
func (a *attaching) registerAgain(ctx context.Context, before, now *state.Attachment) error {
	if !a.hasSlot(now) {
		return nil
	}
	return a.Store.Exclude(ctx, func() error { // as register does
		err := errors.Join(a.maps.Unregister(release.Endpoint(before)), a.maps.Register(release.Endpoint(now)))
		if err != nil {
			a.uncounted(now.Interface, fmt.Errorf("register with the agent's maps: %w", err))
		}
		return nil
	})
}

// hasSlot reports whether the agent's maps, which may be smaller than berth.toml
// says, have the counter slot of an attachment.
func (a *attaching) hasSlot(r *state.Attachment) bool {
	return a.maps != nil && r.Slot != 0 && r.Slot < a.maps.Slots()
}

// countSiblings attaches the agent's program to an ipvlan interface whose
// driver hands frames to siblings past the parent.
func (a *attaching) countSiblings(r *state.Attachment) {
	if !release.HandsOver(r) || !a.hasSlot(r) {
		return
	}
	if err := a.ns.Do(func() error { return a.maps.AttachInside(release.Endpoint(r)) }); err != nil {
		a.uncounted(r.Interface, fmt.Errorf("what it sends to siblings: %w", err))
	}
}
