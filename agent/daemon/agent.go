package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"berth/agent/events"
	"berth/agent/ground"
	"berth/agent/metrics"
	"berth/agent/pools"
	"berth/bpf"
	"berth/internal/config"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Options configure the agent.
type Options struct {
	Dirs    config.Dirs
	Metrics string // address of the /metrics listener; "" if off
	Version string
	Log     *slog.Logger

	// Reload makes the agent reconcile everything, as SIGHUP does; nil if unused.
	Reload <-chan os.Signal
}

// The agent reconciles everything each resync, and each inspection checks whether the
// programs still get every frame, as the kernel sends no notification of tcx, XDP and nftables. Wakes gather
// for some time before a reconciliation: a hook writes several files, and would wait for a processor
// if the agent worked meanwhile. Pins are checked pinsSettle after their last
// change, as a removal takes a moment. An answer waits at most answerWithin for a
// reconciliation.
const (
	resync       = 30 * time.Second
	inspection   = 5 * time.Second
	gather       = 20 * time.Millisecond
	pinsSettle   = 200 * time.Millisecond
	answerWithin = 8 * time.Second
)

// Agent is the running agent. Fields of the first group are set once, those of the second
// belong to the goroutine of [Agent.reconcileLoop]; the others state which goroutines may use them.
type Agent struct {
	o       Options
	log     *slog.Logger
	config  specs.Agent // as of the start; keepEnded follows the file
	cluster specs.ClusterConfig
	store   *state.Store
	format  *metrics.Format
	records *records
	namer   *namer
	member  *pools.Member // nil if the machine is no node of a cluster
	ring    *events.Ring
	limiter *events.Limiter
	started time.Time
	host    func() (hostFacts, error)
	inside  func(nsid int, name string) (network.LinkInfo, error) // returns a link of another namespace

	rehomeAttachments func(context.Context) (int, error) // corrects records whose parent's index has changed
	rehomedLinks      string                             // the links when rehomeAttachments ran last

	pinLock        *os.File      // held while there is a datapath
	datapath       *bpf.Datapath // nil after a purge
	reader         *bpf.Reader
	off            bool
	done           map[int]specs.MAC
	vlans          map[bpf.VLAN]int     // VLANs in the datapath's map; nil if not written yet
	isolated       map[int][]netip.Addr // the host's addresses in the datapath's map, by parent; nil if not written yet
	failed         map[int]string
	healMarked     time.Time       // when `berth heal` was asked for last
	generation     int32           // of the datapath: records of an earlier generation need registering
	turn           int             // index of the record with which the next round of registrations begins
	loggedProblems map[string]bool // problems that are in the log already

	wakes     chan struct{}
	troubles  troubles
	draining  chan struct{} // wakes the janitor
	filters   filterChanges
	drift     *drifter
	observer  *observer
	observed  *observedAddresses
	networks  *networkNamer
	requests  chan request
	pings     chan chan struct{} // of the watchdog
	maps      mapsHolder
	changes   changesHolder
	keepEnded atomic.Int64                      // how long ended attachments are shown and kept, in ns
	status    atomic.Pointer[specs.AgentStatus] // of the last reconciliation; read-only
	unknown   atomic.Int64                      // unknown MACs in the map, at the last count
	scraping  sync.Mutex                        // one scrape at a time reads maps
}

// request is a function that the loop calls between two reconciliations.
type request struct {
	do   func() error
	done chan error
}

// mapsHolder shares the maps with their readers, and waits for the readers before the maps
// are closed.
type mapsHolder struct {
	mu   sync.RWMutex
	maps *bpf.Maps
}

// useMaps calls fn with the maps, or with nil if nothing is pinned.
func (h *mapsHolder) useMaps(fn func(*bpf.Maps) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return fn(h.maps)
}

// setMaps replaces the maps. When it returns, no reader uses the old ones.
func (h *mapsHolder) setMaps(m *bpf.Maps) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.maps = m
}

// wakeLoop makes the loop reconcile everything soon. It does not block.
func (a *Agent) wakeLoop() { poke(a.wakes) }

// wakeAll makes the loop, and that of the cluster, reconcile everything soon.
func (a *Agent) wakeAll() {
	a.wakeLoop()
	if a.member != nil {
		a.member.Wake()
	}
}

// poke wakes the reader of a channel of capacity 1; a pending wake is enough.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// runInLoop makes the loop call do, then reconcile.
func (a *Agent) runInLoop(ctx context.Context, do func() error) error {
	r := request{do, make(chan error, 1)}
	select {
	case a.requests <- r:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reconcileLoop reconciles when it is woken, until ctx is done or the agent loses its ground, which
// is the error returned.
func (a *Agent) reconcileLoop(ctx context.Context, watch *watcher, g ground.Ground) error {
	tick, look := time.NewTicker(resync), time.NewTicker(inspection)
	defer tick.Stop()
	defer look.Stop()
	var gathered <-chan time.Time // nil unless a wake is pending
	for {
		select {
		case <-ctx.Done():
			return nil
		case pong := <-a.pings:
			close(pong)
		case r := <-a.requests:
			err := r.do()
			a.reconcile(ctx, watch)
			r.done <- err
		case <-a.wakes:
			gathered = afterGather(gathered)
		case <-gathered:
			gathered = nil
			if err := g.Check(); err != nil {
				return err
			}
			a.reconcile(ctx, watch)
		case <-look.C:
			a.reconcile(ctx, watch)
		case <-tick.C:
			a.renewRound(ctx)
			if err := a.resyncAll(ctx, watch, g); err != nil {
				return err
			}
		case <-a.o.Reload:
			a.generation++
			if err := a.resyncAll(ctx, watch, g); err != nil {
				return err
			}
			a.log.Info("reloaded")
		}
	}
}

// afterGather returns pending, or if that is nil, a channel that receives once wakes have gathered.
func afterGather(pending <-chan time.Time) <-chan time.Time {
	if pending == nil {
		return time.After(gather)
	}
	return pending
}

// resyncAll reconciles everything.
func (a *Agent) resyncAll(ctx context.Context, watch *watcher, g ground.Ground) error {
	if err := g.Check(); err != nil {
		return err
	}
	a.isolated, a.rehomedLinks = nil, ""
	a.drift.scheduleRound()
	a.reconcile(ctx, watch)
	return nil
}
