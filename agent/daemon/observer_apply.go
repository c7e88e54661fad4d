package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// applyPlan writes the plan to the records and the datapath.
func (o *observer) applyPlan(ctx context.Context, p *observedPlan) error {
	return o.a.maps.useMaps(func(maps *bpf.Maps) error {
		var errs []error
		for some := range slices.Chunk(p.ended, chunk) {
			errs = append(errs, o.endRecords(ctx, some))
		}
		for some := range slices.Chunk(p.changed, chunk) {
			errs = append(errs, o.changeRecords(ctx, maps, some))
		}
		for some := range slices.Chunk(p.created, chunk) {
			errs = append(errs, o.createRecords(ctx, maps, some))
		}
		return errors.Join(errs...)
	})
}

// endRecords marks records as ended. Their slots are drained as those of attachments.
func (o *observer) endRecords(ctx context.Context, some []*state.Attachment) error {
	err := o.a.store.Update(ctx, func(tx *state.Tx) error {
		for _, was := range some {
			at, err := tx.Attachment(was.Key())
			if errors.Is(err, state.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			at.Phase, at.Ended = specs.PhaseEnded, time.Now().UTC()
			if err := tx.Put(at); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("end the records of observed interfaces: %w", err)
	}
	for _, was := range some {
		o.forgetRecord(was)
		o.a.observed.noteAddresses(was.Key(), nil)
	}
	return nil
}

// changeRecords writes the changes of records, with the same slot, and registers the interfaces
// under their new keys. One that cannot be registered keeps its record, and holds up no other. maps
// is nil if nothing is pinned.
func (o *observer) changeRecords(ctx context.Context, maps *bpf.Maps, some []*state.Attachment) error {
	o.findCookies(maps, some)
	var changed []*state.Attachment
	var failed []error
	err := o.a.store.Update(ctx, func(tx *state.Tx) error {
		changed, failed = nil, nil
		for _, is := range some {
			was, err := tx.Attachment(is.Key())
			if err != nil {
				return err
			}
			is.Slot, is.Engine, is.EngineNetwork = was.Slot, was.Engine, was.EngineNetwork
			if is.Cookie == 0 {
				is.Cookie = was.Cookie
			}
			if maps != nil && is.Slot != 0 {
				if err := o.a.moveEndpoint(maps, was, is); err != nil {
					failed = append(failed, err)
					continue
				}
			}
			if err := tx.Put(is); err != nil {
				return err
			}
			changed = append(changed, is)
		}
		return nil
	})
	if err == nil {
		for _, is := range changed {
			o.noteRecord(is)
		}
	}
	if err = errors.Join(append(failed, err)...); err != nil {
		return fmt.Errorf("change the records of observed interfaces: %w", err)
	}
	return nil
}
