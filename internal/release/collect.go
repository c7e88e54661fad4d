package release

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Report counts the results of Collect.
type Report struct {
	Released []string `json:"released"` // keys of attachments
	Drained  int      `json:"drained"`  // counter slots that were freed
	Pruned   int      `json:"pruned"`   // records of ended attachments that were removed
	Partial  bool     `json:"partial"`  // the time ran out before every record was checked
}

// perView bounds the number of records read under one lock.
const perView = 256

// Collect releases abandoned attachments: those whose maker was killed, whose release
// was interrupted, whose namespace ended or whose link was deleted. Then it drains.
// It stops after the bound and starts at a random record the next time, so that short
// runs together check all. If the bound is 0, it has no limit and also waits until
// the last slot is drained.
//
// If an attachment cannot be released, Collect continues with the rest; if the store
// cannot be read, it returns that one error.
func (r *Releaser) Collect(ctx context.Context, bound time.Duration) (Report, error) {
	var done Report
	within := ctx
	if bound > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	all, err := r.unsettledRecords(within)
	errs := []error{err}
	if err == nil { // else each of them would return the same error
		errs = []error{
			r.rehomeAll(within),
			r.collectEach(within, all, &done, isUnsettled),
			r.collectGone(within, bound > 0, &done),
			r.drainAll(within, bound > 0, &done),
			r.sweepLockFiles(within),
			r.sweepInsides(within),
		}
	}
	if within.Err() != nil && ctx.Err() == nil {
		done.Partial = true
		errs = withoutTimeouts(errs)
	}
	return done, errors.Join(errs...)
}

// sweepLockFiles removes the lock files that killed processes left on the disk.
func (r *Releaser) sweepLockFiles(ctx context.Context) error {
	_, err := r.Store.SweepHolds(ctx)
	return err
}

// withoutTimeouts drops the errors that only report the end of the bound.
func withoutTimeouts(errs []error) (other []error) {
	for _, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) {
			other = append(other, err)
		}
	}
	return other
}

// unsettledRecords returns the attachments that are being made or released.
func (r *Releaser) unsettledRecords(ctx context.Context) (all []*state.Attachment, err error) {
	err = r.Store.View(ctx, func(tx *state.Tx) (err error) {
		all, err = tx.Unsettled()
		return err
	})
	return all, err
}

func isUnsettled(now *state.Attachment) (bool, error) {
	return now.Leaving || now.Phase == specs.PhaseAttaching, nil
}

// collectEach releases those attachments that no process has locked and that are due.
func (r *Releaser) collectEach(ctx context.Context, all []*state.Attachment, done *Report,
	due func(*state.Attachment) (bool, error)) error {
	var errs []error
	for _, a := range all {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, r.collectDue(ctx, a, done, due))
	}
	return errors.Join(errs...)
}

// collectGone checks all attachments, from a random one on if the time is bounded.
func (r *Releaser) collectGone(ctx context.Context, bounded bool, done *Report) error {
	start := ""
	if bounded {
		err := r.Store.View(ctx, func(tx *state.Tx) error {
			first, last := tx.Cookies()
			start = state.Key(first+rand.Uint64N(last-first+1), "")
			return nil
		})
		if err != nil {
			return err
		}
	}
	errs := []error{r.collectRange(ctx, start, "", done)}
	if start != "" {
		errs = append(errs, r.collectRange(ctx, "", start, done))
	}
	return errors.Join(errs...)
}

// collectRange checks the attachments after one key, up to another if that is not "".
func (r *Releaser) collectRange(ctx context.Context, after, upTo string, done *Report) error {
	var errs []error
	for ctx.Err() == nil {
		some, err := r.liveBatch(ctx, after, upTo)
		if err != nil || len(some) == 0 {
			return errors.Join(append(errs, err)...)
		}
		for _, a := range some {
			after = a.Key()
			if ctx.Err() != nil {
				break
			}
			errs = append(errs, r.collectIfGone(ctx, a, done))
		}
	}
	return errors.Join(errs...)
}

func (r *Releaser) collectIfGone(ctx context.Context, a *state.Attachment, done *Report) error {
	gone := func(a *state.Attachment) (bool, error) { return r.linkIsGone(ctx, a) }
	if is, err := gone(a); err != nil || !is {
		return err
	}
	return r.collectDue(ctx, a, done, gone)
}

// liveBatch returns a batch of the live attachments.
func (r *Releaser) liveBatch(ctx context.Context, after, upTo string) (some []*state.Attachment, err error) {
	err = r.Store.View(ctx, func(tx *state.Tx) error {
		for a, err := range tx.Live(after) {
			if err != nil {
				return err
			}
			if upTo != "" && a.Key() > upTo || len(some) == perView {
				return nil
			}
			some = append(some, a)
		}
		return nil
	})
	return some, err
}

// linkIsGone reports whether a complete attachment has lost its link for good. A link that berth
// cannot reach is not gone; its container may still live. Nor is one that vanished with its parent:
// it is made again when the parent is back.
func (r *Releaser) linkIsGone(ctx context.Context, a *state.Attachment) (bool, error) {
	if a.Phase != specs.PhaseAttached {
		return false, nil
	}
	remove, err := r.findLink(ctx, a)
	if errors.Is(err, network.ErrTooLong) {
		return false, nil // a link that the kernel cannot describe exists
	}
	if err != nil || remove != nil {
		return false, wrapf(err, "check attachment %q", a.Key())
	}
	if waits, err := r.waitsForParent(a); err != nil || waits {
		return false, wrapf(err, "check attachment %q", a.Key())
	}
	lingers, err := r.lingers(ctx, a)
	return err == nil && !lingers, wrapf(err, "check attachment %q", a.Key())
}

// collectDue takes the attachment's lock, re-checks due under it, and releases the
// attachment if it is still due. It skips one that another process has locked.
func (r *Releaser) collectDue(ctx context.Context, seen *state.Attachment, done *Report,
	due func(*state.Attachment) (bool, error)) error {
	unlock, err := r.Store.TryHold(seen.Key())
	if errors.Is(err, state.ErrBusy) {
		return nil // another process works on it
	}
	if err != nil {
		return err
	}
	defer unlock()
	var now *state.Attachment
	err = r.Store.View(ctx, func(tx *state.Tx) (err error) {
		now, err = tx.Attachment(seen.Key())
		return err
	})
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if yes, err := due(now); err != nil || !yes {
		return err
	}
	if err := r.releaseAll(ctx, []*state.Attachment{now}); err != nil {
		return err
	}
	done.Released = append(done.Released, now.Key())
	return nil
}

// drainAll drains once, or, without a bound, until nothing is left to drain.
func (r *Releaser) drainAll(ctx context.Context, bounded bool, done *Report) error {
	for {
		next, err := r.drainDue(ctx, done)
		if err != nil || next == 0 || bounded {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(next):
		}
	}
}
