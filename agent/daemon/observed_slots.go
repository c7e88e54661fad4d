package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// observedSlots returns the number of slots below which observed interfaces get theirs. It
// reserves the upper quarter of the slots for attachments.
func (a *Agent) observedSlots(maps *bpf.Maps) uint32 {
	slots := a.config.MaxEndpoints + 1
	if maps != nil {
		slots = maps.Slots()
	}
	return slots - slots/4
}

// createRecords claims slots for interfaces and registers them. An interface without a slot is
// shown, but not counted. maps is nil if nothing is pinned.
func (o *observer) createRecords(ctx context.Context, maps *bpf.Maps, some []*state.Attachment) error {
	slots := o.a.observedSlots(maps)
	o.findCookies(maps, some)
	err := o.a.store.Update(ctx, func(tx *state.Tx) error {
		for _, is := range some {
			slot, err := tx.ClaimSlot(slots)
			if err != nil && !errors.Is(err, state.ErrNoSlot) {
				return err
			}
			is.Slot = slot
			if err := tx.Put(is); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record observed interfaces: %w", err)
	}
	for _, is := range some {
		o.noteRecord(is)
	}
	return o.a.registerCounted(maps, some)
}

// findCookies sets the cookies of the namespaces of macvlan interfaces, by which the datapath
// recognises other interfaces of the same container. One that cannot be found stays 0 and is searched
// again later. maps is nil if nothing is pinned.
func (o *observer) findCookies(maps *bpf.Maps, some []*state.Attachment) {
	for _, is := range some {
		if maps == nil || is.Driver != specs.Macvlan {
			continue
		}
		cookie, err := o.cookieOf(maps, is.ParentIndex, is.MAC)
		if err != nil {
			o.a.log.Warn("an observed interface is counted without its namespace", "interface", is.Key(), "error", err)
			continue
		}
		is.Cookie = cookie
	}
}

// completeRecords assigns slots to the interfaces that got none when they were recorded, as
// far as slots are free now, and finds the namespaces that were not found then.
func (o *observer) completeRecords(ctx context.Context) error {
	return o.a.maps.useMaps(func(maps *bpf.Maps) error {
		return errors.Join(o.countUncounted(ctx, maps), o.findMissingCookies(ctx, maps))
	})
}

// countUncounted claims slots for the interfaces without one. maps is nil if nothing is pinned.
func (o *observer) countUncounted(ctx context.Context, maps *bpf.Maps) error {
	var uncounted []*state.Attachment
	for _, at := range o.known {
		if at.Slot == 0 {
			uncounted = append(uncounted, at)
		}
	}
	if len(uncounted) == 0 {
		return nil
	}
	return o.claimSlots(ctx, maps, uncounted)
}

// findMissingCookies searches again for the namespaces of the interfaces whose cookie is 0, and
// records those that it finds. maps is nil if nothing is pinned.
func (o *observer) findMissingCookies(ctx context.Context, maps *bpf.Maps) error {
	var missing []*state.Attachment
	for _, at := range o.known {
		if at.Cookie == 0 && at.Driver == specs.Macvlan {
			is := *at
			missing = append(missing, &is)
		}
	}
	o.findCookies(maps, missing)
	found := slices.DeleteFunc(missing, func(is *state.Attachment) bool { return is.Cookie == 0 })
	for some := range slices.Chunk(found, chunk) {
		if err := o.changeRecords(ctx, maps, some); err != nil {
			return err
		}
	}
	return nil
}

// claimSlots claims slots for recorded interfaces, until none is free, and registers them. maps
// is nil if nothing is pinned.
func (o *observer) claimSlots(ctx context.Context, maps *bpf.Maps, uncounted []*state.Attachment) error {
	slots := o.a.observedSlots(maps)
	var counted []*state.Attachment
	err := o.a.store.Update(ctx, func(tx *state.Tx) error {
		counted = nil
		for _, known := range uncounted[:min(len(uncounted), chunk)] {
			at, err := tx.Attachment(known.Key())
			if err != nil {
				return err
			}
			at.Slot, err = tx.ClaimSlot(slots)
			if errors.Is(err, state.ErrNoSlot) {
				return nil
			}
			if err == nil {
				err = tx.Put(at)
			}
			if err != nil {
				return err
			}
			counted = append(counted, at)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count observed interfaces that had no slot: %w", err)
	}
	for _, at := range counted {
		o.known[at.Key()].Slot = at.Slot
	}
	return o.a.registerCounted(maps, counted)
}

// registerCounted registers the interfaces that have a slot. maps is nil if nothing is pinned.
func (a *Agent) registerCounted(maps *bpf.Maps, some []*state.Attachment) error {
	if maps == nil {
		return nil
	}
	var errs []error
	for _, is := range some {
		if is.Slot != 0 {
			errs = append(errs, a.registerEndpoint(maps, is))
		}
	}
	return errors.Join(errs...)
}
