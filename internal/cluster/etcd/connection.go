package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// The client finds a dead connection by a ping, after keepAlive and keepAliveTimeout.
const (
	keepAlive        = 10 * time.Second
	keepAliveTimeout = 5 * time.Second
	dialTimeout      = 5 * time.Second
)

// dialAgain is the time between attempts to connect. By default, it grows to two minutes, after which
// a node would still wait although etcd is back.
var dialAgain = backoff.Config{BaseDelay: 500 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2,
	MaxDelay: 5 * time.Second}

// connection is a client with one set of certificates.
type connection struct {
	client *clientv3.Client
	user   string                 // the common name of the node's certificate
	cause  atomic.Pointer[string] // why the last attempt of a request failed
}

// errClosed is returned by requests to a closed store.
var errClosed = errors.New("the store is closed")

// Renew opens a new connection if the files of certificates have changed, and closes the old
// one: its requests fail, and its watches and presence end. It reports whether it did. If the
// files cannot be used, the old connection remains.
func (s *Store) Renew() (bool, error) {
	files, config, err := s.config.Certificates.load()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return false, errClosed
	case err != nil:
		s.failed = err
		return false, err
	case s.current != nil && files == s.files:
		return false, nil
	}
	next, err := s.dial(config)
	if err != nil {
		s.failed = err
		return false, err
	}
	old := s.current
	s.current, s.files, s.failed = next, files, nil
	if old == nil {
		return false, nil
	}
	return true, old.client.Close()
}

func (s *Store) dial(config *tls.Config) (*connection, error) {
	c := &connection{}
	if config != nil {
		c.user = config.Certificates[0].Leaf.Subject.CommonName
	}
	var err error
	c.client, err = clientv3.New(clientv3.Config{
		Endpoints: s.config.Endpoints, TLS: config, DialTimeout: dialTimeout, MaxCallRecvMsgSize: maxAnswer,
		DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAliveTimeout, Logger: zap.NewNop(),
		DialOptions: []grpc.DialOption{
			grpc.WithChainUnaryInterceptor(c.noteCause), grpc.WithStatsHandler(notice(s.config.Connected)),
			grpc.WithConnectParams(grpc.ConnectParams{Backoff: dialAgain, MinConnectTimeout: dialTimeout}),
		},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd %q: %w", s.config.Endpoints, err)
	}
	return c, nil
}

// notice is called after each new connection.
type notice func()

// TagConn implements stats.Handler.
func (notice) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// HandleConn implements stats.Handler.
func (n notice) HandleConn(_ context.Context, s stats.ConnStats) {
	if _, begins := s.(*stats.ConnBegin); begins && n != nil {
		n()
	}
}

// TagRPC implements stats.Handler.
func (notice) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC implements stats.Handler.
func (notice) HandleRPC(context.Context, stats.RPCStats) {}

// noteCause stores the error of an attempt. The client tries again until the request's time has
// passed, and then returns only that.
func (c *connection) noteCause(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn,
	invoke grpc.UnaryInvoker, opts ...grpc.CallOption,
) error {
	err := invoke(ctx, method, req, reply, cc, opts...)
	if errors.Is(ctx.Err(), context.Canceled) {
		return err // another member has answered
	}
	if err != nil {
		c.cause.Store(new(status.Convert(err).Message()))
	} else {
		c.cause.Store(nil)
	}
	return err
}

func (s *Store) connection() (*connection, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, errClosed
	case s.current == nil:
		return nil, s.failed
	}
	return s.current, nil
}

// Close ends the connections.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.current == nil {
		return nil
	}
	return s.current.client.Close()
}
