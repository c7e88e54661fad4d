package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"berth/agent/api"
	"berth/agent/client"
	"berth/agent/events"
	"berth/agent/metrics"
	"berth/internal/config"
	"berth/internal/state"
	"berth/network"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// stopTimeout is how long answers under way may take when the agent stops.
const stopTimeout = 5 * time.Second

// Run is the agent, until ctx is done. When it returns, the programs stay
// attached and go on counting. An error is one line and says what helps.
func Run(ctx context.Context, o Options) (err error) {
	a, err := newAgent(o)
	if err != nil {
		return err
	}
	lock, err := lockAgent(a.store)
	if err != nil {
		return err
	}
	defer lock.Close()
	listeners, err := a.listen()
	if err != nil {
		return err
	}
	defer listeners.close()
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	a.links = func() ([]link, error) { return hostLinks(host) }
	watch, err := newWatcher([]string{o.Dirs.Config, config.NetworksDir(o.Dirs.Config), a.store.Dir()}, a.wake)
	if err != nil {
		return err
	}
	defer watch.close()
	if err := a.openDatapath(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.closeDatapath()) }()
	a.reconcile(ctx, watch)
	return a.serve(ctx, listeners, func(ctx context.Context) {
		var work sync.WaitGroup
		work.Go(func() { a.loop(ctx, watch) })
		work.Go(func() { a.janitor(ctx, host) })
		work.Wait()
	})
}

func newAgent(o Options) (*Agent, error) {
	c, err := config.Load(o.Dirs.Config)
	if err != nil {
		return nil, err
	}
	store := state.Open(o.Dirs.State)
	store.Log = o.Log
	if err := store.Prepare(); err != nil {
		return nil, explain(err)
	}
	a := &Agent{
		o: o, log: o.Log, config: c.Agent, store: store,
		records:  records{store: store, log: o.Log},
		ring:     events.NewRing(events.Kept),
		started:  time.Now(),
		wakes:    make(chan struct{}, 1),
		draining: make(chan struct{}, 1),
		requests: make(chan request),
	}
	a.keep.Store(int64(c.Agent.KeepEnded))
	return a, nil
}

// listeners are where the agent is asked; metrics may be nil.
type listeners struct{ socket, metrics net.Listener }

func (l listeners) close() {
	l.socket.Close()
	if l.metrics != nil {
		l.metrics.Close()
	}
}

func (a *Agent) listen() (l listeners, err error) {
	if a.o.Metrics != "" {
		if l.metrics, err = net.Listen("tcp", a.o.Metrics); err != nil {
			return l, explain(fmt.Errorf("metrics at %q: %w", a.o.Metrics, err))
		}
		a.o.Metrics = l.metrics.Addr().String() // the port that the kernel chose for 0
	}
	l.socket, err = api.Listen(filepath.Join(a.o.Dirs.State, client.SocketName), a.config.SocketGroup)
	if err != nil && l.metrics != nil {
		l.metrics.Close()
	}
	return l, err
}

// serve answers on the listeners while work runs, and stops both when ctx is
// done or a server fails.
func (a *Agent) serve(ctx context.Context, l listeners, work func(context.Context)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	handler := a.metricsHandler()
	local := api.New(backend{a}, a.ring, handler, a.log)
	remote := &http.Server{Handler: onlyMetrics(handler), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute}
	var running sync.WaitGroup
	running.Go(func() { work(ctx) })
	running.Go(func() {
		if err := local.Serve(l.socket); err != nil {
			cancel(err)
		}
	})
	if l.metrics != nil {
		running.Go(func() {
			if err := remote.Serve(l.metrics); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("serve metrics: %w", err))
			}
		})
	}
	a.notify(daemon.SdNotifyReady)
	a.log.Info("ready", "metrics", a.o.Metrics, "socket", l.socket.Addr().String())
	<-ctx.Done()
	a.notify(daemon.SdNotifyStopping)
	end, stop := context.WithTimeout(context.Background(), stopTimeout)
	defer stop()
	err := errors.Join(local.Close(end), remote.Shutdown(end))
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// notify tells systemd where NOTIFY_SOCKET is set.
func (a *Agent) notify(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		a.log.Warn("notify the service manager", "error", err)
	}
}

func (a *Agent) metricsHandler() http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(metrics.New(a.o.Version, func() (metrics.Snapshot, error) {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		return a.snapshot(ctx)
	}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true, ErrorHandling: promhttp.HTTPErrorOnError})
}

func onlyMetrics(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	return mux
}
