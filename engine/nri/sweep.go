package nri

import (
	"context"
	"errors"
	"time"

	"berth/internal/release"
	"berth/network"
)

// The periods of the sweep: without a reason for one, and after a container of a
// pod that berth has attached has ended. containerd deletes the namespace of a
// pod's sandbox within milliseconds of the end of its containers.
const (
	sweepPeriod = 10 * time.Second
	sweepDelay  = time.Second
)

// collectBound is how long a sweep may take.
const collectBound = time.Second

// sweep releases, again and again until ctx is done, what ended pods have left:
// the runtime does not report the end of every sandbox. One that has ended is
// known by its namespace, which is dead.
func (p *Plugin) sweep(ctx context.Context) {
	period := p.SweepPeriod
	if period == 0 {
		period = sweepPeriod
	}
	timer := time.NewTimer(period)
	defer timer.Stop()
	soon, said := false, ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.wakes():
			if !soon {
				timer.Reset(min(sweepDelay, period))
			}
			soon = true
			continue
		case <-timer.C:
		}
		soon = false
		err := p.collect(ctx)
		if err != nil && err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			p.Log.Warn("pods that have ended are not released", "error", err)
		}
		timer.Reset(period)
	}
}

// sweepSoon asks for a sweep within sweepDelay.
func (p *Plugin) sweepSoon() {
	select {
	case p.wakes() <- struct{}{}:
	default: // one is asked for
	}
}

func (p *Plugin) wakes() chan struct{} {
	p.once.Do(func() { p.wake = make(chan struct{}, 1) })
	return p.wake
}

// collect releases what ended containers of any kind have left, within a bound.
func (p *Plugin) collect(ctx context.Context) (err error) {
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
