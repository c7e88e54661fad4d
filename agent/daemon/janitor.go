package daemon

import (
	"context"
	"errors"
	"time"

	"berth/bpf"
	"berth/internal/hostshim"
	"berth/internal/release"
	"berth/network"
)

// drainAgain is the pause until the next drain of slots whose keys are deleted.
// collectBound bounds one search for dead namespaces.
const (
	drainAgain   = 110 * time.Millisecond
	collectBound = 5 * time.Second
)

// keepUnknown is how long an unknown MAC is kept after its last frame.
const keepUnknown = 10 * time.Minute

// runJanitor drains ended attachments, and releases those that no other process will, until
// ctx is done. The loop wakes it when an attachment needs draining.
func (a *Agent) runJanitor(ctx context.Context, host *network.Handle) {
	tick := time.NewTicker(resync)
	defer tick.Stop()
	a.collectStale(ctx, host)
	a.ageUnknown()
	asked := &answers{byKey: make(map[string]*asking)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.collectStale(ctx, host)
			a.assignFreed(ctx, a.observed.allKeys()) // other processes drain too
			a.ageUnknown()
			if err := a.reportUnanswered(ctx, asked); err != nil && ctx.Err() == nil {
				a.log.Warn("cannot check for unanswered endpoints", "error", err)
			}
		case <-a.draining:
			a.drainEnded(ctx, host)
			select {
			case <-ctx.Done():
				return
			case <-time.After(drainAgain):
				a.drainEnded(ctx, host)
			}
		}
	}
}

func (a *Agent) newReleaser(host *network.Handle) *release.Releaser {
	return &release.Releaser{Store: a.store, BPFFS: a.o.Dirs.BPFFS, Host: host, Log: a.log,
		KeepEnded: time.Duration(a.keepEnded.Load())}
}

func (a *Agent) drainEnded(ctx context.Context, host *network.Handle) {
	freed, err := a.drainingAddresses(ctx)
	err = errors.Join(err, a.newReleaser(host).Drain(ctx))
	if err != nil && ctx.Err() == nil {
		a.log.Warn("cannot drain ended attachments", "error", err)
	}
	a.assignFreed(ctx, a.observed.keysWith(freed))
}

// assignFreed is assignAddresses; it logs an error.
func (a *Agent) assignFreed(ctx context.Context, keys []string) {
	if err := a.assignAddresses(ctx, keys); err != nil && ctx.Err() == nil {
		a.log.Warn("cannot register observed interfaces again", "error", err)
	}
}

func (a *Agent) collectStale(ctx context.Context, host *network.Handle) {
	done, err := a.newReleaser(host).Collect(ctx, collectBound)
	if err != nil && ctx.Err() == nil {
		a.log.Warn("cannot release stale attachments", "error", err)
	}
	if n := len(done.Released); n > 0 {
		a.log.Info("released stale attachments", "attachments", n, "first", done.Released[0])
	}
	shims := hostshim.Shims{Store: a.store, Log: a.log}
	if _, err := shims.Reconcile(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("cannot repair the host's routes", "error", err)
	}
}

// ageUnknown deletes stale unknown MACs, and counts the others.
func (a *Agent) ageUnknown() {
	err := a.maps.useMaps(func(maps *bpf.Maps) error {
		if maps == nil {
			a.unknown.Store(0)
			return nil
		}
		if err := maps.AgeUnknown(keepUnknown); err != nil {
			return err
		}
		all, err := maps.Unknown()
		a.unknown.Store(int64(len(all)))
		return err
	})
	if err != nil {
		a.log.Warn("cannot delete stale unknown MACs", "error", err)
	}
}
