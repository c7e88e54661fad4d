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
	"berth/bpf"
	"berth/internal/config"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// Options say how the agent runs.
type Options struct {
	Dirs    config.Dirs
	Metrics string // the address to serve /metrics on; "" is off
	Version string
	Log     *slog.Logger

	// Reload asks the agent to look at everything again, as SIGHUP does; nil if
	// nothing asks.
	Reload <-chan os.Signal
}

// How often the agent puts everything there anew without being woken, and how
// often it looks whether the programs still get every frame, of which the kernel
// does not notify; how long it lets wakes gather after it has looked, and how
// long after the last change of a pin it looks: a removal takes a moment. An
// answer waits so long for a look.
const (
	resync       = 30 * time.Second
	inspection   = 5 * time.Second
	minInterval  = 20 * time.Millisecond
	pinsSettle   = 200 * time.Millisecond
	answerWithin = 8 * time.Second
)

// Agent is the running agent. Fields of the first group are set once; those of
// the second belong to the goroutine of [Agent.loop]; the others say who else
// may use them.
type Agent struct {
	o       Options
	log     *slog.Logger
	config  specs.Agent // as of the start; keep follows the file
	store   *state.Store
	format  *metrics.Format
	records *records
	namer   *namer
	ring    *events.Ring
	limiter *events.Limiter
	started time.Time
	host    func() (hostFacts, error)
	inside  func(nsid int, name string) (network.LinkInfo, error) // a link of another namespace

	rehomed func(context.Context) (int, error) // corrects records whose parent has another index
	seen    string                             // the links at the last time that was done

	pinLock  *os.File      // held while there is a datapath
	datapath *bpf.Datapath // nil after a purge
	reader   *bpf.Reader
	off      bool
	done     map[int]specs.MAC
	vlans    map[bpf.VLAN]int     // that the datapath was told of; nil: none yet
	isolated map[int][]netip.Addr // addresses of the host that it was told of, by parent; nil: none yet
	failed   map[int]string
	epoch    int64           // of the datapath: records of an older one are to be registered
	said     map[string]bool // problems that the log has already

	wakes    chan struct{}
	troubles troubles
	draining chan struct{} // wakes the janitor
	drift    *drifter
	requests chan request
	pings    chan chan struct{} // of the watchdog
	maps     mapsHolder
	keep     atomic.Int64                      // how long ended attachments are shown and kept, in ns
	status   atomic.Pointer[specs.AgentStatus] // of the last reconciliation; not to be changed
	unknown  atomic.Int64                      // unknown MACs that were noted, at the last look
	scraping sync.Mutex                        // one scrape at a time reads maps
}

// request is something that the loop does between two reconciliations.
type request struct {
	do   func() error
	done chan error
}

// mapsHolder gives the maps to those who read them, and waits for them before
// the maps are closed.
type mapsHolder struct {
	mu   sync.RWMutex
	maps *bpf.Maps
}

// use calls fn with the maps, nil when nothing is pinned.
func (h *mapsHolder) use(fn func(*bpf.Maps) error) error {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return fn(h.maps)
}

// set replaces the maps; nobody uses the old ones when it returns.
func (h *mapsHolder) set(m *bpf.Maps) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.maps = m
}

// wake makes the loop look at everything, soon. It does not block.
func (a *Agent) wake() { poke(a.wakes) }

// poke wakes whoever reads a channel of capacity 1; once is enough.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// ask has the loop do something, then reconcile.
func (a *Agent) ask(ctx context.Context, do func() error) error {
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

// loop reconciles when it is woken, until ctx is done or the agent has lost its
// ground, which is its error.
func (a *Agent) loop(ctx context.Context, watch *watcher, g ground.Ground) error {
	tick, look := time.NewTicker(resync), time.NewTicker(inspection)
	defer tick.Stop()
	defer look.Stop()
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
			if err := g.Check(); err != nil {
				return err
			}
			a.reconcile(ctx, watch)
			a.gather(ctx)
		case <-look.C:
			a.reconcile(ctx, watch)
		case <-tick.C:
			if err := a.anew(ctx, watch, g); err != nil {
				return err
			}
		case <-a.o.Reload:
			if err := a.anew(ctx, watch, g); err != nil {
				return err
			}
			a.log.Info("reloaded")
		}
	}
}

// anew compares everything with what should be, and registers each endpoint again.
func (a *Agent) anew(ctx context.Context, watch *watcher, g ground.Ground) error {
	if err := g.Check(); err != nil {
		return err
	}
	a.epoch++
	a.isolated = nil
	a.drift.again()
	a.reconcile(ctx, watch)
	return nil
}

// gather waits a moment, so that a storm of wakes costs little.
func (a *Agent) gather(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(minInterval):
	}
}
