package resident

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Server answers clients. Do is the work of a request; it is called by several goroutines at once.
type Server struct {
	Do  func(q Request) Answer
	Log *slog.Logger

	own     namespaces     // read before the first request: later, a thread may be in a container's
	running sync.WaitGroup // one for each client
}

// Serve answers the clients that connect to a socket until the context is done. It then
// finishes the requests that it has accepted.
func (s *Server) Serve(ctx context.Context, socket *os.File) error {
	listener := int(socket.Fd())                             // once: each call of Fd makes the socket block
	if err := unix.SetNonblock(listener, true); err != nil { // poll waits, and accept never
		return err
	}
	var err error
	if s.own, err = namespacesOf("self"); err != nil {
		return err
	}
	wake, waker, err := os.Pipe()
	if err != nil {
		return err
	}
	defer wake.Close()
	waking := int(wake.Fd())
	stop := context.AfterFunc(ctx, func() { waker.Close() })
	defer func() {
		if stop() {
			waker.Close()
		}
	}()
	defer s.running.Wait()
	for {
		fd, err := accept(listener, waking)
		switch {
		case err != nil:
			return fmt.Errorf("accept a client: %w", err)
		case fd < 0:
			return nil
		}
		s.running.Go(func() {
			c := &conn{fd: fd}
			defer c.close()
			if err := s.answer(c); err != nil {
				s.Log.Warn("a client was not answered", "error", err)
			}
		})
	}
}

// Errors of accept(2) after which it is called again: the scarce ones, of files or memory, after a
// pause, and the passing ones at once.
var (
	scarce  = []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS}
	passing = []error{unix.EINTR, unix.EAGAIN, unix.ECONNABORTED}
)

// accept waits for a client, and returns its connection, or -1 if wake has ended. Each connection
// blocks a thread, as long as the engine's hook would be a process.
func accept(socket, wake int) (int, error) {
	wanted := []unix.PollFd{{Fd: int32(socket), Events: unix.POLLIN}, {Fd: int32(wake), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(wanted, -1); err == unix.EINTR {
			continue
		} else if err != nil {
			return -1, err
		}
		if wanted[1].Revents != 0 {
			return -1, nil
		}
		conn, _, err := unix.Accept4(socket, unix.SOCK_CLOEXEC)
		switch {
		case err == nil:
			return conn, nil
		case slices.Contains(scarce, err):
			time.Sleep(10 * time.Millisecond) // the clients that wait do their work themselves meanwhile
		case !slices.Contains(passing, err):
			return -1, err
		}
	}
}

// answer serves one client. A client that gets no answer does the work itself.
func (s *Server) answer(c *conn) error {
	pid, err := checkPeer(c.fd, s.own)
	if err != nil {
		return err
	}
	if err := c.limitReads(requestWithin); err != nil {
		return err
	}
	if err := c.send([]byte{ready}); err != nil {
		return err
	}
	q, err := readRequest(c)
	if err != nil {
		return err
	}
	q.PID, q.UntilGone = pid, c.untilGone
	c.keepAlive()
	return c.sendLast(s.Do(q).encode())
}
