package daemon

import (
	"context"
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

// janitor drains ended attachments, and releases those that no other process will, until
// ctx is done. The loop wakes it when an attachment needs draining.
func (a *Agent) janitor(ctx context.Context, host *network.Handle) {
	tick := time.NewTicker(resync)
	defer tick.Stop()
	a.tidy(ctx, host)
	a.age()
	asked := &answers{of: make(map[string]*asking)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			a.tidy(ctx, host)
			a.age()
			if err := a.seekAnswers(ctx, asked); err != nil && ctx.Err() == nil {
				a.log.Warn("look for endpoints that nobody answers", "error", err)
			}
		case <-a.draining:
			a.drain(ctx, host)
			select {
			case <-ctx.Done():
				return
			case <-time.After(drainAgain):
				a.drain(ctx, host)
			}
		}
	}
}

func (a *Agent) releaser(host *network.Handle) *release.Releaser {
	return &release.Releaser{Store: a.store, BPFFS: a.o.Dirs.BPFFS, Host: host, Log: a.log,
		KeepEnded: time.Duration(a.keep.Load())}
}

func (a *Agent) drain(ctx context.Context, host *network.Handle) {
	if err := a.releaser(host).Drain(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("drain ended attachments", "error", err)
	}
}

func (a *Agent) tidy(ctx context.Context, host *network.Handle) {
	done, err := a.releaser(host).Collect(ctx, collectBound)
	if err != nil && ctx.Err() == nil {
		a.log.Warn("collect what was left", "error", err)
	}
	if n := len(done.Released); n > 0 {
		a.log.Info("released what was left", "attachments", n, "first", done.Released[0])
	}
	shims := hostshim.Shims{Store: a.store, Log: a.log}
	if _, err := shims.Reconcile(ctx); err != nil && ctx.Err() == nil {
		a.log.Warn("mend the routes of the host", "error", err)
	}
}

// age deletes stale unknown MACs, and counts the others.
func (a *Agent) age() {
	err := a.maps.use(func(maps *bpf.Maps) error {
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
		a.log.Warn("age unknown MACs", "error", err)
	}
}
