package hook

import (
	"context"
	"fmt"
	"time"

	"berth/bpf"
	"berth/internal/release"
	"berth/internal/state"
)

// putRecord puts a record, and notes whether its interface needs the receiver program, and whether
// siblings do because of it.
//
// Two runs in one layer-2 domain miss no interface. If a run puts the first record that enforces,
// the records that were committed before are read by guardSiblings later, and the others are
// committed later, by a transaction that finds the record that enforces.
func (a *attaching) putRecord(tx *state.Tx, r *state.Attachment) error {
	before := tx.IsEnforced(r.Domain())
	if err := tx.Put(r); err != nil {
		return err
	}
	if now := tx.IsEnforced(r.Domain()); now && !before {
		a.firstEnforced = true
	} else if !now {
		if a.unenforced == nil {
			a.unenforced = make(map[string]bool)
		}
		a.unenforced[r.Key()] = true
	}
	return nil
}

// attachOwnPrograms attaches programs to an interface, before it is up.
func (a *attaching) attachOwnPrograms(r *state.Attachment, programs []bpf.OwnProgram) {
	if len(programs) == 0 || !a.hasSlot(r) {
		return
	}
	err := a.ns.Do(func() error {
		for _, o := range programs {
			if err := a.maps.AttachInside(o, release.Endpoint(r)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		a.warnUncounted(r.Interface, fmt.Errorf("frames to siblings: %w", err))
	}
}

// guardTime bounds guardSiblings. Each sibling takes the kernel a grace period of RCU.
const guardTime = 5 * time.Second

// guardSiblings attaches the receiver program to the siblings of the first interface in a layer-2
// domain that enforces a kind, before that interface can send. The agent reports siblings that are
// left, and berth gc attaches it to them.
func (a *attaching) guardSiblings(ctx context.Context) {
	if !a.firstEnforced || a.maps == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, guardTime)
	defer cancel()
	if done, err := a.newReleaser().AttachOwnPrograms(ctx); err != nil || done.Left > 0 {
		a.Log.Warn("siblings lack the receiver program; attach it by: berth gc", "number", done.Left, "error", err)
	}
}

// attachLacked attaches the receiver program to interfaces for which it became necessary while they
// were being made.
func (a *attaching) attachLacked() {
	for _, r := range a.unreceived {
		if !a.hasSlot(r) {
			continue
		}
		lacked, err := release.LackedPrograms(a.maps, r)
		if err != nil {
			a.warnUncounted(r.Interface, err)
		}
		a.attachOwnPrograms(r, lacked)
	}
}
