package daemon

import (
	"context"
	"time"

	"berth/internal/release"
)

// How long the janitor leaves a slot that the datapath has forgotten, and how
// long it may look for dead namespaces at a time.
const (
	drainAgain   = 110 * time.Millisecond
	collectBound = 5 * time.Second
)

// janitor takes ended attachments to their final counts, and releases what
// nobody else will, until ctx is done. It is woken by poke when there is
// something to drain.
func (a *Agent) janitor(ctx context.Context, r *release.Releaser, poke <-chan struct{}) {
	tick := time.NewTicker(resync)
	defer tick.Stop()
	a.tidy(ctx, r)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.tidy(ctx, r)
		case <-poke:
			a.drain(ctx, r)
			select {
			case <-ctx.Done():
				return
			case <-time.After(drainAgain):
				a.drain(ctx, r)
			}
		}
	}
}

func (a *Agent) drain(ctx context.Context, r *release.Releaser) {
	if err := r.Drain(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("drain ended attachments", "error", err)
	}
}

func (a *Agent) tidy(ctx context.Context, r *release.Releaser) {
	done, err := r.Collect(ctx, collectBound)
	if err != nil && ctx.Err() == nil {
		a.log.Warn("collect what was left", "error", err)
	}
	for _, key := range done.Released {
		a.log.Info("released what was left", "attachment", key)
	}
}
