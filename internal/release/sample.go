package release

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"berth/internal/state"
)

// Sample holds a few records, read in one transaction, whose attachments may be abandoned.
type Sample struct {
	unsettled, some []*state.Attachment
	drain           bool
	err             error
}

// Bounds of a sample, which must be small because every run of the hook reads one: the number
// of records of each sort, and the age of an undrained slot. An agent, if one runs, drains a
// slot much earlier.
const (
	perSample     = 8
	undrainedLong = time.Second
)

// ReadSample reads some records for [Releaser.CollectSample]: those that are being made or
// released, and a few others from a random one on, so that many samples together cover all.
//
// CollectSample returns ReadSample's error.
func ReadSample(tx *state.Tx) (s Sample) {
	all, err := tx.Unsettled()
	s.unsettled = all[:min(len(all), perSample)]
	first, last := tx.Cookies()
	s.some, s.err = someAfter(tx, state.Key(first+rand.Uint64N(last-first+1), ""))
	s.err = errors.Join(err, s.err)
	oldest, ok := tx.OldestDraining()
	age := time.Since(oldest) // negative if the clock was set back
	s.drain = ok && (age > undrainedLong || age < 0)
	return s
}

func someAfter(tx *state.Tx, after string) (some []*state.Attachment, err error) {
	for a, err := range tx.Live(after) {
		if err != nil || len(some) == perSample {
			return some, err
		}
		some = append(some, a)
	}
	return some, nil
}

// withoutContainer drops the attachments of a container.
func (s Sample) withoutContainer(id string) Sample {
	s.some = slices.DeleteFunc(s.some, func(a *state.Attachment) bool { return slices.Contains(a.Containers, id) })
	return s
}

// CollectSample is [Releaser.Collect] within a bound, limited to the records of a sample. It
// re-checks each before it acts.
func (r *Releaser) CollectSample(ctx context.Context, s Sample, bound time.Duration) (done Report, err error) {
	within, cancel := context.WithTimeout(ctx, bound)
	defer cancel()
	errs := []error{s.err, r.collectEach(within, s.unsettled, &done, isUnsettled)}
	for _, a := range s.some {
		if within.Err() == nil {
			errs = append(errs, r.collectIfGone(within, a, &done))
		}
	}
	if s.drain {
		errs = append(errs, r.drainAll(within, true, &done))
	}
	if within.Err() != nil && ctx.Err() == nil {
		done.Partial = true
		errs = withoutTimeouts(errs)
	}
	return done, errors.Join(errs...)
}
