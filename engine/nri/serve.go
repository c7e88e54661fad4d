package nri

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/containerd/nri/pkg/api"
	nrinet "github.com/containerd/nri/pkg/net"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
)

// Options locate the runtime.
type Options struct {
	Socket string // the runtime's
	Index  string // two digits, which order the runtime's plugins
}

const (
	// retry is the delay between attempts to connect.
	retry = time.Second
	// grace is the time reserved for sending an answer.
	grace = 100 * time.Millisecond
)

// errGone is returned when the connection ends.
var errGone = errors.New("the runtime has closed the connection")

// Serve answers the runtime until ctx is done, and waits for it while it does not run. It
// finishes the request under way when ctx ends.
func (p *Plugin) Serve(ctx context.Context, o Options) error {
	var sweep sync.WaitGroup
	sweep.Go(func() { p.sweepEnded(ctx) })
	defer sweep.Wait()
	lastLogged := ""
	for {
		err := p.serveOnce(ctx, o)
		if ctx.Err() != nil {
			return nil
		}
		if err.Error() != lastLogged {
			p.Log.Warn("waiting for the container runtime", "error", err)
			lastLogged = err.Error()
		}
		if errors.Is(err, errGone) {
			lastLogged = "" // it was connected
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}

func (p *Plugin) serveOnce(ctx context.Context, o Options) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", o.Socket)
	if err != nil {
		return fmt.Errorf("connect to NRI: %w; enable it in containerd or CRI-O: berth install --engine nri", err)
	}
	return p.serveSession(ctx, conn, stub.WithPluginName(Name), stub.WithPluginIdx(o.Index))
}

// ServeLaunched answers the runtime that has started this process, until it closes the
// connection. The connection's descriptor, the name and the index are in the environment
// (pkg/api/plugin.go of NRI).
func (p *Plugin) ServeLaunched(ctx context.Context) error {
	var fd int
	if _, err := fmt.Sscanf(os.Getenv(api.PluginSocketEnvVar), "%d", &fd); err != nil {
		return fmt.Errorf("%s %q: want the number of a descriptor", api.PluginSocketEnvVar, os.Getenv(api.PluginSocketEnvVar))
	}
	conn, err := nrinet.NewFdConn(fd)
	if err != nil {
		return fmt.Errorf("open the NRI connection on descriptor %d: %w", fd, err)
	}
	ctx, stop := context.WithCancel(ctx)
	var sweep sync.WaitGroup
	sweep.Go(func() { p.sweepEnded(ctx) })
	defer sweep.Wait()
	defer stop()
	if err := p.serveSession(ctx, conn); !errors.Is(err, errGone) { // the library reads the rest there
		return err
	}
	return nil
}

// Launched reports whether a runtime has started this process.
func Launched() bool { return os.Getenv(api.PluginSocketEnvVar) != "" }

// serveSession answers the runtime on one connection. It returns nil when ctx is done.
func (p *Plugin) serveSession(ctx context.Context, plain net.Conn, options ...stub.Option) error {
	conn := &watched{Conn: plain, gone: make(chan struct{})}
	registered := make(chan struct{})
	s, err := stub.New(p, append(options, stub.WithConnection(conn), stub.WithLogger(logger{p.Log}),
		stub.WithTTRPCOptions([]ttrpc.ClientOpts{signalCall(registered)}, nil))...)
	if err != nil {
		return errors.Join(fmt.Errorf("NRI plugin: %w", err), conn.Close())
	}
	// A request under way must not end with ctx.
	unhurried := context.WithoutCancel(ctx)
	started := make(chan error, 1)
	go func() { started <- s.Start(unhurried) }()
	defer func() {
		_ = conn.Close() // it may be closed
		if started != nil {
			endStart(s, registered, started)
		}
	}()
	for {
		select {
		case err := <-started:
			started = nil
			if err != nil {
				return err
			}
		case <-conn.gone:
			return errGone
		case <-ctx.Done():
			p.working.Lock() // waits for requests under way, and blocks new ones
			defer p.working.Unlock()
			time.Sleep(grace)
			return conn.Close()
		}
	}
}

// signalCall closes a channel when the first call to the runtime, the registration, has succeeded.
func signalCall(done chan<- struct{}) ttrpc.ClientOpts {
	var once sync.Once
	return ttrpc.WithUnaryClientInterceptor(func(ctx context.Context, req *ttrpc.Request, resp *ttrpc.Response,
		_ *ttrpc.UnaryClientInfo, call ttrpc.Invoker) error {
		err := call(ctx, req, resp)
		if err == nil {
			once.Do(func() { close(done) })
		}
		return err
	})
}

// endStart waits until Start has returned, on a connection that is closed. After the registration,
// Start waits for the runtime's configuration without looking at the connection (stub.go of NRI), so
// endStart takes the runtime's place.
func endStart(s stub.Stub, registered <-chan struct{}, started <-chan error) {
	select {
	case <-started:
	case <-registered:
		if service, ok := s.(api.PluginService); ok {
			_, _ = service.Configure(context.WithValue(context.Background(), endedKey{}, true), new(api.ConfigureRequest))
		}
		<-started
	}
}

// endedKey is the key of contexts in which Configure is called after the end of the connection.
type endedKey struct{}

// watched is a connection that signals its end.
type watched struct {
	net.Conn
	once sync.Once
	gone chan struct{}
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.once.Do(func() { close(w.gone) })
	}
	return n, err
}
