package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// DefaultSocket is the path at which docker finds a plugin named berth.
const DefaultSocket = "/run/docker/plugins/berth.sock"

// DefaultNetworks is the directory of the networks that docker created in the driver.
const DefaultNetworks = "/var/lib/berth/docker"

// stopTimeout is the time that calls have to end after the signal to stop. A call is not bound to
// it for its effects: docker repeats a call without an answer.
const stopTimeout = 10 * time.Second

// Listen returns the socket that the service manager opened, or else a new one at a path.
func Listen(path string) (net.Listener, error) {
	given, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("take the service manager's socket: %w", err)
	}
	switch {
	case len(given) == 1 && given[0] != nil:
		return given[0], nil
	case len(given) > 0:
		return nil, fmt.Errorf("the service manager passed %d sockets; berth-docker takes one, of a stream", len(given))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600)
}

// removeStale removes the socket of an earlier process. It refuses one that a process listens on.
func removeStale(path string) error {
	c, err := net.Dial("unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("another process serves %s; stop it first: systemctl stop berth-docker.socket "+
			"berth-docker.service", path), c.Close())
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Serve answers docker's calls until the context is done, and sweeps from time to time.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: 5 * time.Minute,
		MaxHeaderBytes: 16 << 10}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	s.Log.Info("ready", "socket", l.Addr().String())
	tick := time.NewTicker(sweepInterval)
	defer tick.Stop()
	for {
		if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
			s.Log.Error("sweep", "error", err)
		}
		select {
		case err := <-failed:
			return fmt.Errorf("serve docker: %w", err)
		case <-ctx.Done():
			end, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
			defer cancel()
			return server.Shutdown(end)
		case <-tick.C:
		}
	}
}
