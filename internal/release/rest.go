package release

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"berth/internal/state"
)

// Rest is the set of records, from one reading, that may have been abandoned.
type Rest struct {
	unsettled, some []*state.Attachment
	drain           bool
	err             error
}

// Bounds of a reading, which must be short because every run of the hook does one: the number
// of records of each sort, and the age of an undrained slot. An agent, if one runs, drains a
// slot much earlier.
const (
	perLook  = 8
	leftLong = time.Second
)

// ReadRest reads some records for [Releaser.CollectRest]: those that are being made or
// released, and a few others from a random one on, so that many readings together cover all.
//
// CollectRest returns ReadRest's error.
func ReadRest(tx *state.Tx) (left Rest) {
	all, err := tx.Unsettled()
	left.unsettled = all[:min(len(all), perLook)]
	first, last := tx.Cookies()
	left.some, left.err = someAfter(tx, state.Key(first+rand.Uint64N(last-first+1), ""))
	left.err = errors.Join(err, left.err)
	oldest, ok := tx.OldestDraining()
	age := time.Since(oldest) // negative if the clock was set back
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

// withoutContainer drops the attachments of a container.
func (left Rest) withoutContainer(id string) Rest {
	left.some = slices.DeleteFunc(left.some, func(a *state.Attachment) bool { return slices.Contains(a.Containers, id) })
	return left
}

// CollectRest is [Releaser.Collect] within a bound, limited to the records of one reading. It
// re-checks each before it acts.
func (r *Releaser) CollectRest(ctx context.Context, left Rest, bound time.Duration) (done Report, err error) {
	within, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	errs := []error{left.err, r.collectEach(within, left.unsettled, &done, isUnsettled)}
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
