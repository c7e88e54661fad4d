package daemon

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// claim is an address on a parent.
type claim struct {
	parent int
	addr   netip.Addr
}

// reportDuplicates reports each observed interface that has the address of an attachment on
// its parent. It reports a pair of them once, until the address is no longer on both. The
// violation is counted for the observed interface; the attachment is the event's owner.
func (o *observer) reportDuplicates(ctx context.Context) error {
	owners, err := o.ownersOfAddresses(ctx)
	if err != nil {
		return fmt.Errorf("compare the addresses of observed interfaces: %w", err)
	}
	now := make(map[string]bool)
	for key, at := range o.known {
		for _, p := range at.Addresses {
			owner := owners[claim{at.ParentIndex, p.Addr()}]
			if owner == nil {
				continue
			}
			id := fmt.Sprintf("%s %s %s", key, p.Addr(), owner.Key())
			now[id] = true
			if !o.duplicates[id] {
				o.reportDuplicate(at, owner, p.Addr())
			}
		}
	}
	o.duplicates = now
	return nil
}

// ownersOfAddresses returns the live attachments by their addresses, if any interface is
// observed.
func (o *observer) ownersOfAddresses(ctx context.Context) (map[claim]*state.Attachment, error) {
	owners := make(map[claim]*state.Attachment)
	if len(o.known) == 0 {
		return owners, nil
	}
	return owners, o.a.store.View(ctx, func(tx *state.Tx) error {
		for at, err := range tx.Live("") {
			if err != nil {
				return err
			}
			if at.Phase != specs.PhaseAttached {
				continue // its hook still probes for the address, and may exchange it
			}
			for _, p := range at.Addresses {
				owners[claim{at.ParentIndex, p.Addr()}] = at
			}
		}
		return nil
	})
}

func (o *observer) reportDuplicate(at, owner *state.Attachment, addr netip.Addr) {
	in := make(intern)
	sender, victim := newRecord(at, in), newRecord(owner, in)
	if stored := o.a.recordOfSlot(at.Slot); stored != nil {
		sender = stored // it has the engine's name
	}
	if at.Slot != 0 {
		err := o.a.maps.useMaps(func(maps *bpf.Maps) error {
			if maps == nil {
				return nil
			}
			return maps.AddViolation(at.Slot, specs.DuplicateIP, 1)
		})
		if err != nil {
			o.a.log.Warn("cannot count a duplicate address", "interface", at.Key(), "error", err)
		}
	}
	o.a.emitEvent(specs.Event{
		Time: time.Now(), Kind: specs.DuplicateIP, Certainty: specs.Certain, Evidence: specs.ByNetlink,
		Parent: at.Parent, Sender: partyOf(sender), Owner: partyOf(victim),
		Detail: fmt.Sprintf("interface %q, which berth did not create, has the address %s of an attachment",
			at.Interface, addr),
	})
}
