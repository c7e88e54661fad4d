package nri

import (
	"context"
	"errors"
	"time"

	"berth/internal/release"
	"berth/network"
)

// The intervals of the sweep: the regular one, and the delay after the end of a container
// of an attached pod. containerd deletes the namespace of a pod's sandbox within
// milliseconds of the end of its containers.
const (
	sweepPeriod = 10 * time.Second
	sweepDelay  = time.Second
)

// collectBound bounds a sweep.
const collectBound = time.Second

// sweepEnded releases the attachments of ended pods, again and again until ctx is done, as the
// runtime does not report the end of every sandbox. It identifies an ended pod by its dead
// namespace.
func (p *Plugin) sweepEnded(ctx context.Context) {
	period := p.SweepPeriod
	if period == 0 {
		period = sweepPeriod
	}
	timer := time.NewTimer(period)
	defer timer.Stop()
	soon, lastLogged := false, ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wakeChannel():
			if !soon {
				timer.Reset(min(sweepDelay, period))
			}
			soon = true
			continue
		case <-timer.C:
		}
		soon = false
		err := p.collectEnded(ctx)
		if err != nil && err.Error() != lastLogged && ctx.Err() == nil {
			lastLogged = err.Error()
			p.Log.Warn("pods that have ended are not released", "error", err)
		}
		timer.Reset(period)
	}
}

// sweepSoon requests a sweep within sweepDelay.
func (p *Plugin) sweepSoon() {
	select {
	case p.wakeChannel() <- struct{}{}:
	default: // one is pending
	}
}

func (p *Plugin) wakeChannel() chan struct{} {
	p.once.Do(func() { p.wake = make(chan struct{}, 1) })
	return p.wake
}

// collectEnded releases the attachments of ended containers of any kind, within a bound.
func (p *Plugin) collectEnded(ctx context.Context) (err error) {
	p.working.RLock()
	defer p.working.RUnlock()
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	r := &release.Releaser{Store: p.Store, BPFFS: p.Dirs.BPFFS, Host: host, Log: p.Log}
	report, err := r.Collect(ctx, collectBound)
	if len(report.Released) > 0 {
		p.Log.Info("reclaimed", "attachments", report.Released)
	}
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
