package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// grace is the wait between deleting a slot's keys and reading its final counters. A program
// that had already looked the slot up finishes within microseconds, with preemption off; the
// rest is margin.
const grace = 100 * time.Millisecond

// perTransaction bounds the attachments drained in one transaction, so that it takes a
// millisecond or two.
const perTransaction = 64

// countMaps is the part of the agent's pinned maps that a release uses; *bpf.Maps implements it.
type countMaps interface {
	Unregister(bpf.Endpoint) error
	UnregisterNamespace(bpf.Endpoint) error
	Counters(slot uint32) (specs.Counters, error)
	Violations(slot uint32) (map[specs.Kind]specs.Broken, error)
	Zero(slot uint32) error
	LacksCounts() bool
	Slots() uint32
	Close() error
}

// Drain advances the ended attachments that are ready: first their keys are deleted from the
// datapath; a tenth of a second later their counts are final, and the counter slot is zeroed
// and freed. It does not wait: a later call does the next step. It removes records that are
// too old or too many.
func (r *Releaser) Drain(ctx context.Context) error {
	_, err := r.drainDue(ctx, new(Report))
	return err
}

// drainDue does the steps of the drain that are due, in batches, and removes ended records beyond
// the bounds. It returns the delay until the remaining attachments can be drained, or 0 if none
// remains. It does nothing while counts of earlier maps are missing from these: the agent that takes
// them over drains afterwards.
func (r *Releaser) drainDue(ctx context.Context, done *Report) (next time.Duration, err error) {
	m, err := r.agentMaps()
	if err != nil {
		return 0, err
	}
	if m != nil {
		defer m.Close()
		if m.LacksCounts() {
			return 0, nil
		}
	}
	for ctx.Err() == nil {
		keyed, final, next, err := r.drainable(ctx, m != nil)
		if err != nil {
			return 0, err
		}
		if len(keyed)+len(final) == 0 {
			return next, r.pruneEnded(ctx, done)
		}
		if err := r.drainStep(ctx, m, keyed, final, done); err != nil {
			return 0, fmt.Errorf("drain counter slots: %w", err)
		}
	}
	return 0, ctx.Err()
}

// agentMaps opens the pinned maps, or returns nil if no agent ever pinned any.
func (r *Releaser) agentMaps() (countMaps, error) {
	if r.openMaps != nil {
		return r.openMaps()
	}
	m, err := bpf.Open(r.BPFFS)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

// drainable returns the ended attachments whose keys the datapath still has (none if there are
// no pinned maps), and those whose counts are final. next is the time until all others
// are final.
func (r *Releaser) drainable(ctx context.Context,
	hasMaps bool) (keyed, final []*state.Attachment, next time.Duration, err error) {
	now, err := sinceBoot()
	if err != nil {
		return nil, nil, 0, err
	}
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		all, err := tx.Draining()
		for _, a := range all {
			switch left := grace - (now - a.UnkeyedBoot); {
			case hasMaps && a.UnkeyedBoot == 0:
				keyed = append(keyed, a)
			case left > 0:
				next = max(next, left)
			default:
				final = append(final, a)
			}
		}
		return err
	})
	return keyed, final, next, err
}

// drainStep does each step for all, a batch in one transaction: the counts are stored before they
// are zeroed, even if the process is killed in between.
func (r *Releaser) drainStep(ctx context.Context, m countMaps, keyed, final []*state.Attachment, done *Report) error {
	for some := range slices.Chunk(keyed, perTransaction) {
		if err := r.eachRecord(ctx, m, some, deleteKeys); err != nil {
			return err
		}
	}
	for some := range slices.Chunk(final, perTransaction) {
		if err := r.eachRecord(ctx, m, some, finishDrain); err != nil {
			return err
		}
		if err := r.eachRecord(ctx, m, some, freeSlot(done)); err != nil {
			return err
		}
	}
	return nil
}

// eachRecord does a step for the current record of each attachment, in one transaction, which
// excludes registering.
func (r *Releaser) eachRecord(ctx context.Context, m countMaps, all []*state.Attachment,
	step func(*state.Tx, countMaps, *state.Attachment) error) error {
	return r.Store.Update(ctx, func(tx *state.Tx) error {
		for _, seen := range all {
			a, err := tx.EndedOf(seen)
			if errors.Is(err, state.ErrNotFound) || err == nil && !a.Draining() {
				continue
			}
			if err == nil {
				err = step(tx, m, a)
			}
			if err != nil {
				return fmt.Errorf("%q: %w", seen.Key(), err)
			}
		}
		return nil
	})
}

// deleteKeys deletes the keys of an attachment from the datapath.
func deleteKeys(tx *state.Tx, m countMaps, a *state.Attachment) error {
	if a.UnkeyedBoot != 0 {
		return nil
	}
	if err := m.Unregister(Endpoint(a)); err != nil {
		return err
	}
	now, err := sinceBoot()
	if err != nil {
		return err
	}
	a.Unkeyed, a.UnkeyedBoot = time.Now().UTC(), now
	return tx.Put(a)
}

// sinceBoot returns CLOCK_BOOTTIME, which processes share and which cannot be set
// (clock_gettime(2)): a grace period measured by it passes even if the time of day is
// changed.
func sinceBoot() (time.Duration, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
		return 0, fmt.Errorf("read the time since boot: %w", err)
	}
	return time.Duration(now.Nano()), nil
}

// finishDrain stores the final counts of an attachment, once no frame can be counted in its slot.
func finishDrain(tx *state.Tx, m countMaps, a *state.Attachment) error {
	if !hasCounts(m, a) || a.Final != nil {
		return nil
	}
	final, err := m.Counters(a.Slot)
	if err != nil {
		return err
	}
	broken, err := m.Violations(a.Slot)
	if err != nil {
		return err
	}
	a.Final = &final
	a.FinalViolations, a.FinalDropped = specs.SplitBroken(broken)
	return tx.Put(a)
}

// freeSlot returns the step that zeroes and frees the counter slot of an attachment.
func freeSlot(done *Report) func(*state.Tx, countMaps, *state.Attachment) error {
	return func(tx *state.Tx, m countMaps, a *state.Attachment) error {
		if hasCounts(m, a) {
			if err := m.Zero(a.Slot); err != nil {
				return err
			}
		}
		if err := tx.FreeSlot(a.Slot); err != nil {
			return err
		}
		done.Drained++
		if neverAttached(a) {
			return tx.DeleteEnded(a)
		}
		a.Slot = 0
		return tx.Put(a)
	}
}

// hasCounts reports whether the maps have the slot: they may be newer than the attachment,
// and smaller.
func hasCounts(m countMaps, a *state.Attachment) bool { return m != nil && a.Slot < m.Slots() }

// maxEnded bounds the number of ended attachments that are kept.
const maxEnded = 1000

// pruneEnded removes ended records beyond the bounds.
func (r *Releaser) pruneEnded(ctx context.Context, done *Report) error {
	keep := r.KeepEnded
	if keep == 0 {
		keep = specs.DefaultKeepEnded
	}
	before, stale := time.Now().Add(-keep), false
	err := r.Store.View(ctx, func(tx *state.Tx) error {
		stale = tx.Stale(before, maxEnded)
		return nil
	})
	if err != nil || !stale {
		return err
	}
	return r.Store.Update(ctx, func(tx *state.Tx) (err error) {
		done.Pruned, err = tx.Prune(before, maxEnded)
		return err
	})
}
