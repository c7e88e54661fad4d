package release

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"berth/internal/state"
)

// Rest is what one look at the records shows that may have been left behind.
type Rest struct {
	unsettled, some []*state.Attachment
	drain           bool
	err             error
}

// A look is short, because every run of the hook takes one: so many records of
// each sort, and no counter slots but those that an agent, if one ran, would
// have drained long ago.
const (
	perLook  = 8
	leftLong = time.Second
)

// Look reads some records that [Releaser.CollectRest] is to see to: those that
// are being made or unmade, and a few others from a random one on, so that
// many looks see all.
//
// What it cannot read CollectRest returns as its error.
func Look(tx *state.Tx) (left Rest) {
	all, err := tx.Unsettled()
	left.unsettled = all[:min(len(all), perLook)]
	first, last := tx.Cookies()
	left.some, left.err = someAfter(tx, state.Key(first+rand.Uint64N(last-first+1), ""))
	left.err = errors.Join(err, left.err)
	oldest, ok := tx.OldestDraining()
	age := time.Since(oldest) // negative after the clock was set back
	left.drain = ok && (age > leftLong || age < 0)
	return left
}

func someAfter(tx *state.Tx, after string) (some []*state.Attachment, err error) {
	for a, err := range tx.Live(after) {
		if err != nil || len(some) == perLook {
			return some, err
		}
		some = append(some, a)
	}
	return some, nil
}

// without leaves out the attachments of a container.
func (left Rest) without(id string) Rest {
	left.some = slices.DeleteFunc(left.some, func(a *state.Attachment) bool { return slices.Contains(a.Containers, id) })
	return left
}

// CollectRest is [Releaser.Collect] within a bound, of what a look showed and
// of no more. All is looked at again before anything is done about it.
func (r *Releaser) CollectRest(ctx context.Context, left Rest, bound time.Duration) (done Report, err error) {
	within, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	errs := []error{left.err, r.collectEach(within, left.unsettled, &done, unsettled)}
	for _, a := range left.some {
		if within.Err() == nil {
			errs = append(errs, r.collectIfGone(within, a, &done))
		}
	}
	if left.drain {
		errs = append(errs, r.drainAll(within, true, &done))
	}
	if within.Err() != nil && ctx.Err() == nil {
		done.Partial = true
		errs = withoutTimeouts(errs)
	}
	return done, errors.Join(errs...)
}
