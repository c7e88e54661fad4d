package daemon

import (
	"context"
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"berth/agent/eventlog"
	"berth/agent/events"
	"berth/agent/ground"
	"berth/agent/metrics"
	"berth/agent/pools"
	"berth/bpf"
	"berth/internal/config"
	"berth/internal/state"
	"berth/network"
)

// Run runs the agent until ctx is done. When it returns, the programs stay attached and go
// on counting. An error is one line and includes the remedy.
func Run(ctx context.Context, o Options) (err error) {
	a, err := newAgent(o)
	if err != nil {
		return err
	}
	lock, err := ground.LockAgent(a.store)
	if err != nil {
		return err
	}
	defer lock.Close()
	l, err := a.openListeners()
	if err != nil {
		return err
	}
	defer l.close()
	g, err := ground.New(a.store, lock, l.socket)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, g.Leave()) }()
	return a.runOnGround(ctx, g, l)
}

// runOnGround opens the host's netlink and the datapath, and does the agent's work until ctx is
// done.
func (a *Agent) runOnGround(ctx context.Context, g ground.Ground, l listeners) (err error) {
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	a.host = func() (hostFacts, error) { return readHostFacts(host) }
	a.inside = host.LinkIn
	a.rehomeAttachments = func(ctx context.Context) (int, error) { return a.newReleaser(host).Rehome(ctx) }
	if a.observer, err = newObserver(ctx, a); err != nil {
		return err
	}
	defer a.observer.host.Close()
	a.networks = newNetworkNamer(a)
	watch, err := a.startWatching()
	if err != nil {
		return err
	}
	defer watch.close()
	defer a.drift.host.Close()
	if err := a.openDatapath(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.closeDatapath()) }()
	a.mendIndex(ctx)
	_ = a.observer.followChanges(ctx) // it is tried again; no record of an interface that is gone is registered again
	a.reconcile(ctx, watch)
	a.readEvents()
	debug.FreeOSMemory() // reading and registering all records took much more than the rest will
	return a.serveUntilDone(ctx, l, func(ctx context.Context, fail context.CancelCauseFunc) {
		a.runGoroutines(ctx, host, func(ctx context.Context) {
			if err := a.reconcileLoop(ctx, watch, g); err != nil {
				fail(err)
			}
		})
	})
}

// mendIndex corrects the index of the attachments that enforce rules, which an earlier version may have
// left wrong. Without it, siblings would lack the receiver program.
func (a *Agent) mendIndex(ctx context.Context) {
	n, err := a.store.MendEnforcing(ctx)
	switch {
	case err != nil && ctx.Err() == nil:
		a.log.Warn("cannot check the index of attachments that enforce rules", "error", err)
	case n > 0:
		a.log.Info("corrected the index of attachments that enforce rules", "entries", n)
	}
}

// runGoroutines runs the agent's goroutines, of which loop is one, until all have ended.
func (a *Agent) runGoroutines(ctx context.Context, host *network.Handle, loop func(context.Context)) {
	var work sync.WaitGroup
	for _, do := range []func(context.Context){
		loop, a.drift.runInspections, a.observer.runObserver, a.namer.nameContainers, a.networks.nameNetworks,
		a.runWatchdog, a.runReleases, a.pushMetrics,
	} {
		work.Go(func() { do(ctx) })
	}
	work.Go(func() { a.runJanitor(ctx, host) })
	if a.member != nil {
		work.Go(func() { a.member.Run(ctx) })
	}
	for name, to := range a.configuredLogs() {
		part := "events are not written to " + name
		work.Go(func() { eventlog.Follow(ctx, a.ring, to, func(err error) { a.troubles.setProblem(part, err) }) })
	}
	work.Wait()
}

// startWatching begins to watch files and the kernel's notifications.
func (a *Agent) startWatching() (*watcher, error) {
	changes, err := network.ListenWithFilters()
	if err != nil {
		return nil, err
	}
	if !changes.All() {
		a.log.Warn("changes inside containers are noticed at the next resync only; give berthd's unit CAP_NET_BROADCAST")
	}
	if a.drift, err = newDrifter(a, changes.All()); err != nil {
		return nil, errors.Join(err, changes.Close())
	}
	dirs := []string{a.o.Dirs.Config, config.NetworksDir(a.o.Dirs.Config), a.store.Dir()}
	reopen := func() (network.ChangeSource, error) { return network.ListenWithFilters() }
	report := func(err error) { a.troubles.setProblem("changes of interfaces are noticed late", err) }
	watch, err := newWatcher(dirs, bpf.Directories(a.o.Dirs.BPFFS), network.NewListener(changes, reopen, report),
		a.wakeAll, a.noteChange)
	if err != nil {
		a.drift.host.Close()
	}
	return watch, err
}

// noteChange passes a notification of the kernel to those that need it. It does not block.
func (a *Agent) noteChange(c network.Change) {
	a.filters.noteChange(c)
	if c.Filters {
		return
	}
	a.drift.noteChange(c)
	a.observer.noteChange(c)
}

// configuredLogs returns the configured event logs.
func (a *Agent) configuredLogs() map[string]eventlog.Log {
	all := make(map[string]eventlog.Log)
	if a.config.EventsJournal && eventlog.JournalRuns() {
		all["journal"] = eventlog.Journal{}
	}
	if path := a.config.EventsFile; path != "" {
		all[path] = eventlog.NewFile(path, int64(a.config.EventsFileMB)<<20, a.config.EventsFileKeep)
	}
	return all
}

func newAgent(o Options) (*Agent, error) {
	c, err := config.Load(o.Dirs.Config)
	if err != nil {
		return nil, err
	}
	store := state.Open(o.Dirs.State)
	store.Log = o.Log
	if err := store.Prepare(); err != nil {
		return nil, explainState(err)
	}
	format := metrics.NewFormat(c.Agent)
	a := &Agent{
		o: o, log: o.Log, config: c.Agent, format: format, store: store,
		records:  newRecords(store, format, o.Log),
		ring:     events.NewRing(events.Kept),
		limiter:  events.NewLimiter(),
		observed: newObservedAddresses(),
		troubles: troubles{log: o.Log},
		started:  time.Now(),
		wakes:    make(chan struct{}, 1),
		draining: make(chan struct{}, 1),
		requests: make(chan request),
		filters:  filterChanges{pause: filterPause, inside: bpf.HasFiltersInside()},
		pings:    make(chan chan struct{}),
	}
	a.records.emit = a.emitEvent
	a.filters.wake = a.wakeLoop
	if c.Cluster.Enabled() {
		a.member = pools.New(pools.Options{Config: c.Cluster, ConfigDir: o.Dirs.Config, Store: store, Log: o.Log,
			Problem: a.troubles.setProblem})
	}
	a.cluster = c.Cluster
	a.keepEnded.Store(int64(c.Agent.KeepEnded))
	a.namer, err = newNamer(c.Agent, store, a.records, o.Log)
	return a, err
}
