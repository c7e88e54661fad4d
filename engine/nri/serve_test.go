package nri

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"testing/synctest"

	"github.com/containerd/nri/pkg/api"
	"github.com/containerd/nri/pkg/net/multiplex"
	"github.com/containerd/nri/pkg/stub"
	"github.com/containerd/ttrpc"
)

// runtimeSide is a runtime that accepts the registration and sends nothing else.
type runtimeSide struct{ registered chan struct{} }

func (r runtimeSide) RegisterPlugin(context.Context, *api.RegisterPluginRequest) (*api.Empty, error) {
	close(r.registered)
	return new(api.Empty), nil
}

func (runtimeSide) UpdateContainers(context.Context, *api.UpdateContainersRequest) (*api.UpdateContainersResponse, error) {
	return new(api.UpdateContainersResponse), nil
}

// TestNoGoroutineIsLeft ends the connection before the registration, after it, and by the end of the
// context. While a goroutine is left, synctest.Test does not return.
func TestNoGoroutineIsLeft(t *testing.T) {
	for name, c := range map[string]struct{ answers, byContext bool }{
		"before the registration":                  {},
		"before the configuration":                 {answers: true},
		"before the configuration, by the context": {answers: true, byContext: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				r := runtimeSide{make(chan struct{})}
				mux := multiplex.Multiplex(theirs)
				server := must(t)(ttrpc.NewServer())
				if c.answers {
					api.RegisterRuntimeService(server, r)
					l, err := mux.Listen(multiplex.RuntimeServiceConn)
					if err != nil {
						t.Fatal(err)
					}
					go func() { _ = server.Serve(context.Background(), l) }() // until it is closed
				}
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				ended := make(chan error, 1)
				p := &Plugin{Log: slog.New(slog.DiscardHandler)}
				go func() { ended <- p.serveSession(ctx, ours, stub.WithPluginName(Name), stub.WithPluginIdx("10")) }()
				if c.answers {
					<-r.registered
				}
				synctest.Wait() // the plugin waits for the next message
				want := errGone
				if c.byContext {
					stop()
					want = nil
				} else if err := mux.Close(); err != nil {
					t.Error(err)
				}
				if err := <-ended; !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				_, _ = mux.Close(), server.Close() // the rest of the runtime
			})
		})
	}
}

// must returns a function that ends the test on an error.
func must(t *testing.T) func(*ttrpc.Server, error) *ttrpc.Server {
	return func(s *ttrpc.Server, err error) *ttrpc.Server {
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}
