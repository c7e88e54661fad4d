package pools

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"berth/internal/cluster"
	"berth/internal/cluster/etcd"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// Times of the loop. A request to etcd may take askWithin; at the start, without an answer within
// startWithin, the node goes on with the parts in its file. If no round is due, the node touches
// etcd each refresh and when a watch has seen a change, and makes a round each wholeRefresh. A
// round that failed is repeated after retry, and one that changed something after again.
const (
	askWithin   = 3 * time.Second
	startWithin = time.Second
	retry       = 2 * time.Second
	again       = 50 * time.Millisecond
	presence    = 15 * time.Second

	defaultRefresh = 30 * time.Second
	wholeRefresh   = 10 * time.Minute
)

// Options are everything that a Member depends on.
type Options struct {
	Config    specs.ClusterConfig
	ConfigDir string // of networks.d
	Store     *state.Store
	Log       *slog.Logger
	Problem   func(part string, err error) // stores or clears a problem for people
}

// Member is this machine as a node of a cluster.
type Member struct {
	Options
	refresh time.Duration
	wakes   chan struct{}
	etcd    atomic.Pointer[etcd.Store] // nil until its certificates could be read

	// These belong to the goroutine of Run, between its steps to requests.
	mu      sync.Mutex
	self    *cluster.Self
	domains map[cluster.Domain]*domain
	named   map[cluster.Domain]bool // by network files
	leaving map[cluster.Domain]bool
	watches map[string]*watch // by prefix

	brokenNetworks bool   // a network's file cannot be read
	unswept        bool   // etcd may give keys to this node in domains that neither a network nor its file has
	alive          string // the identity whose presence is kept
	absent         context.CancelFunc
	latency        time.Duration // of the last round

	contact sync.Mutex
	last    time.Time // of etcd's last answer
	lastErr string    // of the last request, "" if it was answered

	connected atomic.Bool // to a member of etcd, since the last step

	failures uint64                  // requests without an answer
	measured atomic.Pointer[Metrics] // after the last step
}

// New returns a member. It opens nothing yet.
func New(o Options) *Member {
	return &Member{Options: o, refresh: defaultRefresh, wakes: make(chan struct{}, 1),
		domains: map[cluster.Domain]*domain{}, leaving: map[cluster.Domain]bool{}, watches: map[string]*watch{}}
}

// openStore opens the store, without waiting for a connection.
func (m *Member) openStore() error {
	if m.etcd.Load() != nil {
		return nil
	}
	if m.Config.Node == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("read the host's name: %w; set node below [cluster] in berth.toml", err)
		}
		m.Config.Node = name
	}
	store, err := etcd.Open(etcd.Config{Endpoints: m.Config.Etcd, Presence: presence, Connected: m.noteConnection,
		Certificates: etcd.Certificates{CA: m.Config.CA, Cert: m.Config.Cert, Key: m.Config.Key}})
	if err == nil {
		m.etcd.Store(store)
	}
	return err
}

// renewCertificates uses the files of certificates again if they have changed. Without usable
// ones, the node goes on with its parts, or with the certificates before.
func (m *Member) renewCertificates() {
	renewed, err := m.etcd.Load().Renew()
	m.Problem("the certificates for etcd", err)
	if renewed {
		m.Log.Info("etcd is used with new certificates", "cert", m.Config.Cert)
	}
}

// close ends the presence and the connections.
func (m *Member) close() {
	m.endPresence()
	if store := m.etcd.Load(); store != nil {
		if err := store.Close(); err != nil {
			m.Log.Warn("cannot close the connections to etcd", "error", err)
		}
	}
}

// Wake makes the loop look for changes of this machine soon. It does not block.
func (m *Member) Wake() {
	select {
	case m.wakes <- struct{}{}:
	default:
	}
}

// noteConnection makes the loop look at etcd soon: a member was restarted, perhaps with a backup.
func (m *Member) noteConnection() {
	m.connected.Store(true)
	m.Wake()
}

// reconnected reports whether a connection to a member is new since the last step. Keys that this
// node wrote may then be missing in etcd.
func (m *Member) reconnected() bool {
	if !m.connected.Swap(false) {
		return false
	}
	m.unswept = true
	m.self.DoubtRows()
	return true
}

// Run keeps the node's parts until ctx is done.
func (m *Member) Run(ctx context.Context) {
	defer m.close()
	for ctx.Err() == nil {
		wait := time.NewTimer(m.step(ctx))
		select {
		case <-ctx.Done():
		case <-m.wakes:
		case <-wait.C:
		}
		wait.Stop()
	}
}

// step makes the rounds that are due, and returns the time until the next step if nothing changes.
func (m *Member) step(ctx context.Context) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.openStore()
	m.Problem("the connection to etcd", err)
	if err != nil {
		return retry
	}
	m.renewCertificates()
	err = m.openSelf()
	m.Problem("this node's file of the cluster", err)
	if err != nil {
		return retry
	}
	wait, all, connected := m.refresh, m.currentDomains(), m.reconnected()
	for _, d := range all {
		if connected {
			d.news.Store(true)
			d.former.lost.Store(true)
		}
		wait = min(wait, m.keepDomain(ctx, d))
	}
	m.Problem("the metrics of shared pools", m.measure(all))
	if len(m.domains) == 0 {
		m.request(ctx, "registration in the cluster", m.self.Register)
	}
	m.leaveDomains(ctx)
	m.keepPresence(ctx)
	if !m.failed() {
		m.shareFormer(ctx, all)
	}
	m.keepWatches(ctx, all)
	if m.failed() {
		return min(wait, retry)
	}
	m.request(ctx, "the list of this node's attachments in etcd", m.publish)
	return wait
}

func (m *Member) openSelf() (err error) {
	if m.self != nil {
		return nil
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(m.Config.Directory, 0o700); err != nil {
		return fmt.Errorf("%w; create it, or set directory below [cluster] in berth.toml", err)
	}
	self, err := cluster.OpenSelf(cluster.SelfConfig{Store: m.requests(), Disk: cluster.Directory(m.Config.Directory),
		Name: m.Config.Node, Boot: boot})
	if err == nil {
		m.self = self
	}
	return err
}

// request sends requests to etcd and stores their result as a problem of a part.
func (m *Member) request(ctx context.Context, part string, do func(context.Context) error) {
	ctx, stop := context.WithTimeout(ctx, askWithin)
	defer stop()
	m.Problem(part, m.explain(do(ctx)))
}

// keepPresence keeps the presence of this node's identity, once it is registered.
func (m *Member) keepPresence(ctx context.Context) {
	id := string(m.self.ID())
	if m.alive == id || !m.self.Registered() {
		return
	}
	m.endPresence()
	m.alive = id
	key, value := m.self.Presence()
	ctx, m.absent = context.WithCancel(ctx)
	store := m.etcd.Load()
	go func() {
		for ctx.Err() == nil {
			_ = store.Present(ctx, key, value) // the rounds report that etcd does not answer
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
		}
	}()
}

func (m *Member) endPresence() {
	if m.absent != nil {
		m.absent()
	}
	m.absent, m.alive = nil, ""
}

func bootID() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read the boot id: %w", err)
	}
	return string(text[:len(text)-1]), nil
}

// readNetworks returns the networks with a shared pool.
func (m *Member) readNetworks() (all []*specs.Network) {
	networks, broken := config.Networks(m.ConfigDir) // the reconciliation reports broken files
	m.brokenNetworks = len(broken) > 0
	for _, n := range networks {
		if n.Clustered() {
			all = append(all, n)
		}
	}
	return all
}
