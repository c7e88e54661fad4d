package hook

import (
	"context"
	"errors"
	"fmt"

	"berth/internal/release"
	"berth/internal/state"
)

// registerEndpoints enters the endpoints into the agent's maps before they can send, and attaches
// the agent's programs to each parent that lacks them. The hook records the attachment before it
// opens the maps; the agent pins the maps before it reads the records: so no endpoint is missed.
//
// The container starts even if the agent's pinned objects are broken or partly removed.
// The agent registers every endpoint that failed here once it has pinned everything
// again.
func (a *attaching) registerEndpoints(ctx context.Context) error {
	var err error
	if a.maps, err = a.Hook.openMaps(); err != nil {
		a.warnUncounted("all", err)
		a.maps = nil
	}
	if a.maps == nil {
		return nil
	}
	a.free = append(a.free, func() { a.maps.Close() })
	a.attachParents()
	// Exclude keeps out a drain, which is a transaction and may be about to delete the
	// keys of the MAC's last owner.
	err = a.Store.Exclude(ctx, func() error {
		a.registerAll()
		return nil
	})
	for _, r := range a.records {
		a.attachOwnPrograms(r, release.ProgramsIf(r, !a.unenforced[r.Key()]))
	}
	a.guardSiblings(ctx)
	return err
}

// warnUncounted warns that an interface is not counted yet.
func (a *attaching) warnUncounted(name string, err error) {
	a.Log.Warn("traffic is not counted until the agent repairs it; see: berth agent status", "interface",
		name, "error", err)
}

// attachParents attaches the programs to each parent once.
func (a *attaching) attachParents() {
	done := make(map[int]bool)
	for _, r := range a.records {
		if done[r.ParentIndex] || !a.hasSlot(r) {
			continue
		}
		done[r.ParentIndex] = true
		p, err := a.host.Parent(r.Parent)
		if err == nil {
			err = a.maps.AttachParent(r.ParentIndex, p.MAC, a.attachKind)
		}
		if err != nil {
			a.warnUncounted(r.Interface, err)
		}
	}
}

func (a *attaching) registerAll() {
	for _, r := range a.records {
		if !a.hasSlot(r) {
			continue
		}
		if err := a.maps.Register(release.Endpoint(r)); err != nil {
			a.warnUncounted(r.Interface, fmt.Errorf("register with the agent's maps: %w", err))
			continue
		}
		a.undo.push("register "+r.Interface, func(context.Context) error {
			// The slot has counted its probes, which the slot's next owner did not send.
			return errors.Join(a.maps.Unregister(release.Endpoint(r)), a.maps.Zero(r.Slot))
		})
	}
}

// reregisterEndpoint registers an attachment after a change of its addresses. Its own programs stay.
func (a *attaching) reregisterEndpoint(ctx context.Context, before, now *state.Attachment) error {
	if !a.hasSlot(now) {
		return nil
	}
	return a.Store.Exclude(ctx, func() error { // for the reason given in registerEndpoints
		if err := a.maps.Move(release.Endpoint(before), release.Endpoint(now)); err != nil {
			a.warnUncounted(now.Interface, fmt.Errorf("register with the agent's maps: %w", err))
		}
		return nil
	})
}

// hasSlot reports whether the agent's maps have the counter slot of an attachment: they
// may be smaller than max_endpoints of berth.toml.
func (a *attaching) hasSlot(r *state.Attachment) bool {
	return a.maps != nil && r.Slot != 0 && r.Slot < a.maps.Slots()
}
