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
	"berth/agent/metrics"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
)

// stopTimeout bounds the answers under way when the agent stops.
const stopTimeout = 5 * time.Second

// listeners are the agent's sockets; metrics may be nil.
type listeners struct{ socket, view, metrics net.Listener }

func (l listeners) close() {
	for _, one := range []net.Listener{l.socket, l.view, l.metrics} {
		if one != nil {
			one.Close()
		}
	}
}

func (a *Agent) openListeners() (l listeners, err error) {
	if l.metrics, err = a.listenMetrics(); err != nil {
		return l, err
	}
	a.o.Metrics = ""
	if l.metrics != nil {
		a.o.Metrics = l.metrics.Addr().String() // the port that the kernel chose if it was 0
	}
	l.socket, err = api.Listen(filepath.Join(a.o.Dirs.State, client.SocketName), a.config.SocketGroup)
	if err != nil {
		l.close()
		return listeners{}, explainSocket(err)
	}
	l.view, err = api.ListenView(filepath.Join(a.o.Dirs.State, client.ViewDir, client.SocketName))
	if err != nil {
		l.close()
		return listeners{}, err
	}
	return l, nil
}

// activated is the name of the service manager's socket for metrics
// (FileDescriptorName= in systemd.socket(5)).
const activated = "metrics"

// listenMetrics returns the socket that the service manager opened for metrics, or else one
// at the address of the command line, or nil if that is "".
func (a *Agent) listenMetrics() (net.Listener, error) {
	given, err := activation.ListenersWithNames()
	if err != nil {
		return nil, fmt.Errorf("take the service manager's sockets: %w", err)
	}
	for name, all := range given {
		if name != activated || len(all) != 1 {
			return nil, fmt.Errorf("the service manager passed sockets named %q (%d in all); berthd takes one, with "+
				"FileDescriptorName=%s in its unit", name, len(all), activated)
		}
		return all[0], nil
	}
	if a.o.Metrics == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", a.o.Metrics)
	if err != nil {
		return nil, explainListen(fmt.Errorf("listen for metrics at %q: %w", a.o.Metrics, err))
	}
	return l, nil
}

// serveUntilDone serves both listeners while work runs, and stops all when ctx is done, a server
// fails or work returns.
func (a *Agent) serveUntilDone(ctx context.Context, l listeners,
	work func(context.Context, context.CancelCauseFunc)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	handler := metrics.NewHandler(a.format, a.o.Version, a.fillSnapshot)
	local := api.New(backend{a}, a.ring, handler, a.log)
	remote := &http.Server{Handler: onlyMetrics(handler), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10}
	var running sync.WaitGroup
	running.Go(func() { work(ctx, cancel) })
	for _, serve := range []func() error{func() error { return local.Serve(l.socket) },
		func() error { return local.ServeView(l.view) }} {
		running.Go(func() {
			if err := serve(); err != nil {
				cancel(err)
			}
		})
	}
	if l.metrics != nil {
		running.Go(func() {
			if err := remote.Serve(l.metrics); !errors.Is(err, http.ErrServerClosed) {
				cancel(fmt.Errorf("serve metrics: %w", err))
			}
		})
	}
	a.notifyManager(daemon.SdNotifyReady)
	a.log.Info("ready", "metrics", a.o.Metrics, "socket", l.socket.Addr().String())
	<-ctx.Done()
	a.notifyManager(daemon.SdNotifyStopping)
	end, stop := context.WithTimeout(context.Background(), stopTimeout)
	defer stop()
	err := errors.Join(local.Close(end), remote.Shutdown(end))
	running.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return errors.Join(cause, err)
	}
	return err
}

// fillSnapshot calls snapshot with a deadline of its own.
func (a *Agent) fillSnapshot(s *metrics.Snapshot) error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	return a.collectSnapshot(ctx, s)
}

func onlyMetrics(metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", metrics)
	return mux
}
