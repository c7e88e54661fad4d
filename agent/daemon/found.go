package daemon

import (
	"context"
	"errors"
	"time"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// finding is a violation that the agent itself has found at an endpoint.
type finding struct {
	kind   specs.Kind
	detail string // the declared and the actual value
}

// evidenceOf returns the evidence behind a finding of kind k, and its certainty.
func evidenceOf(k specs.Kind) (specs.Evidence, specs.Certainty) {
	if k == specs.Unanswered {
		return specs.ByCounters, specs.Suspected
	}
	return specs.ByNetlink, specs.Certain
}

// reportFindings reports findings about an attachment, unless it has ended meanwhile, and counts
// them. If skipCounted is set, a kind that the slot has counted already is not counted again: an
// agent has reported it before.
func (a *Agent) reportFindings(ctx context.Context, r *record, all []finding, skipCounted bool) error {
	if len(all) == 0 {
		return nil
	}
	live := false
	err := a.store.View(ctx, func(tx *state.Tx) error {
		at, err := tx.Attachment(r.key)
		if errors.Is(err, state.ErrNotFound) {
			return nil
		}
		if err != nil || at.Created.UnixNano() != r.Created || at.Leaving || at.Phase != specs.PhaseAttached {
			return err
		}
		live = true
		return a.countFindings(at.Slot, all, skipCounted)
	})
	if !live {
		return err
	}
	for _, f := range all {
		evidence, certainty := evidenceOf(f.kind)
		a.emitEvent(specs.Event{
			Time: time.Now(), Kind: f.kind, Certainty: certainty, Evidence: evidence,
			Parent: r.Parent, Sender: partyOf(r), Detail: f.detail,
		})
	}
	return err
}

// countFindings adds findings to the counters of a slot; it does nothing if slot is 0.
func (a *Agent) countFindings(slot uint32, all []finding, skipCounted bool) error {
	if slot == 0 {
		return nil
	}
	return a.maps.useMaps(func(maps *bpf.Maps) error {
		if maps == nil {
			return nil
		}
		before, err := maps.Violations(slot)
		if err != nil {
			return err
		}
		var errs []error
		for _, f := range all {
			if skipCounted && before[f.kind].Packets > 0 {
				continue
			}
			errs = append(errs, maps.AddViolation(slot, f.kind, 1))
		}
		return errors.Join(errs...)
	})
}

// emitEvent passes an event to the logs and the readers, unless the rate limit drops it.
func (a *Agent) emitEvent(e specs.Event) {
	if !a.limiter.Pass(&e, time.Now()) {
		return
	}
	a.ring.Add(e)
	a.log.Debug("violation", "kind", e.Kind, "certainty", e.Certainty, "parent", e.Parent)
}
