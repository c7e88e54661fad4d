package release

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"berth/internal/state"
	"berth/specs"
)

// Report is what Collect did.
type Report struct {
	Released []string `json:"released"` // keys of attachments
	Drained  int      `json:"drained"`  // counter slots that were given back
	Pruned   int      `json:"pruned"`   // records of ended attachments that were removed
	Partial  bool     `json:"partial"`  // the time was up before all was looked at
}

// perView bounds how many records are read under one lock.
const perView = 256

// Collect releases what nobody else will: attachments whose maker died, whose
// release was broken off, whose namespace is dead or whose link is gone. Then
// it drains. It stops looking after the bound, and takes up at a random place
// the next time, so that runs that are short meet all in the end; a bound of
// 0 is none, and then it also waits until the last slot is drained.
//
// What cannot be released does not keep the rest; a store that cannot be read
// is one error.
func (r *Releaser) Collect(ctx context.Context, bound time.Duration) (Report, error) {
	var done Report
	within := ctx
	if bound > 0 {
		var cancel context.CancelFunc
		within, cancel = context.WithTimeout(ctx, bound)
		defer cancel()
	}
	all, err := r.unsettled(within)
	errs := []error{err}
	if err == nil { // else the others would only say the same
		errs = []error{
			r.rehomeAll(within),
			r.collectEach(within, all, &done, unsettled),
			r.collectGone(within, bound > 0, &done),
			r.drainAll(within, bound > 0, &done),
			r.sweep(within),
			r.sweepInsides(within),
		}
	}
	if within.Err() != nil && ctx.Err() == nil {
		done.Partial = true
		errs = withoutTimeouts(errs)
	}
	return done, errors.Join(errs...)
}

// sweep removes what holds of killed processes have left on the disk.
func (r *Releaser) sweep(ctx context.Context) error {
	_, err := r.Store.SweepHolds(ctx)
	return err
}

// withoutTimeouts leaves out what only says that the bound was reached.
func withoutTimeouts(errs []error) (other []error) {
	for _, err := range errs {
		if !errors.Is(err, context.DeadlineExceeded) {
			other = append(other, err)
		}
	}
	return other
}

// unsettled reads the attachments that are being made or unmade.
func (r *Releaser) unsettled(ctx context.Context) (all []*state.Attachment, err error) {
	err = r.Store.View(ctx, func(tx *state.Tx) (err error) {
		all, err = tx.Unsettled()
		return err
	})
	return all, err
}

func unsettled(now *state.Attachment) (bool, error) {
	return now.Leaving || now.Phase == specs.PhaseAttaching, nil
}

// collectEach releases those attachments that nobody holds and that are due.
func (r *Releaser) collectEach(ctx context.Context, all []*state.Attachment, done *Report, due func(*state.Attachment) (bool, error)) error {
	var errs []error
	for _, a := range all {
		if ctx.Err() != nil {
			break
		}
		errs = append(errs, r.collect(ctx, a, done, due))
	}
	return errors.Join(errs...)
}

// collectGone looks at all attachments, from a random one on if the time is
// bounded.
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

// collectRange looks at the attachments after one key, up to another if that
// is not "".
func (r *Releaser) collectRange(ctx context.Context, after, upTo string, done *Report) error {
	var errs []error
	for ctx.Err() == nil {
		some, err := r.some(ctx, after, upTo)
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
	if gone, err := r.gone(a); err != nil || !gone {
		return err
	}
	return r.collect(ctx, a, done, r.gone)
}

// some reads a part of the live attachments.
func (r *Releaser) some(ctx context.Context, after, upTo string) (some []*state.Attachment, err error) {
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

// gone reports whether an attachment that was complete has lost its link.
func (r *Releaser) gone(a *state.Attachment) (bool, error) {
	if a.Phase != specs.PhaseAttached {
		return false, nil
	}
	remove, err := r.findLink(a)
	return err == nil && remove == nil, wrap(err, "look at %q", a.Key())
}

// collect releases an attachment that nobody holds, if it is due when nobody
// can change that any more.
func (r *Releaser) collect(ctx context.Context, seen *state.Attachment, done *Report, due func(*state.Attachment) (bool, error)) error {
	giveUp, err := r.Store.TryHold(seen.Key())
	if errors.Is(err, state.ErrBusy) {
		return nil // somebody is at it
	}
	if err != nil {
		return err
	}
	defer giveUp()
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
	if err := r.release(ctx, []*state.Attachment{now}); err != nil {
		return err
	}
	done.Released = append(done.Released, now.Key())
	return nil
}

// drainAll drains; without a bound until nothing is left to drain.
func (r *Releaser) drainAll(ctx context.Context, bounded bool, done *Report) error {
	for {
		next, err := r.drain(ctx, done)
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
