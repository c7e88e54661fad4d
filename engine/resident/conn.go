package resident

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Times of a connection.
const (
	requestWithin = 25 * time.Second // for the client to write; it waits for its runtime up to 20
	aliveEvery    = 2 * time.Second  // the client waits four times as long
	watchAfter    = 20 * time.Millisecond
)

// conn is the connection of a client. Its methods may be called by several goroutines.
type conn struct {
	mu     sync.Mutex
	fd     int // -1 after close
	timers []*time.Timer
}

// limitReads bounds each call of Read.
func (c *conn) limitReads(to time.Duration) error {
	within := unix.NsecToTimeval(to.Nanoseconds())
	return unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &within)
}

// Read reads what the client writes. Only one goroutine reads, and none after close.
func (c *conn) Read(into []byte) (int, error) {
	n, err := unix.Read(c.fd, into)
	for err == unix.EINTR { // a read with a bound is not restarted after a signal (signal(7))
		n, err = unix.Read(c.fd, into)
	}
	switch {
	case err != nil:
		return 0, err
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// send writes an answer, or a part of one. A client that reads nothing blocks it until the client ends.
func (c *conn) send(text []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(text) > 0 && c.fd >= 0 {
		n, err := unix.SendmsgN(c.fd, text, nil, nil, unix.MSG_NOSIGNAL)
		if err != nil {
			return fmt.Errorf("answer a client: %w", err)
		}
		text = text[n:]
	}
	return nil
}

// sendLast sends an answer, after which no sign of life is sent, and closes the connection.
func (c *conn) sendLast(text []byte) error {
	err := c.send(text)
	c.close()
	return err
}

func (c *conn) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.timers {
		t.Stop()
	}
	if c.fd >= 0 {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR) // it ends the watch, whose duplicate keeps the socket open
		_ = unix.Close(c.fd)                    // a socket: everything is sent already
	}
	c.fd = -1
}

// after calls a function after a time, unless the connection is closed before.
func (c *conn) after(d time.Duration, do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.timers = append(c.timers, time.AfterFunc(d, do))
}

// keepAlive sends a sign of life every two seconds until the connection is closed.
func (c *conn) keepAlive() {
	c.after(aliveEvery, func() {
		if c.send([]byte{alive}) == nil && !c.closed() {
			c.keepAlive()
		}
	})
}

func (c *conn) closed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fd < 0
}

var errGone = errors.New("the client of the service has ended: its runtime or engine has given up, or was killed")

// untilGone returns a context that ends with the client. A client that has ended already is noticed at
// once; in the 20 ms after that nothing is: most requests are answered before.
func (c *conn) untilGone(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	if c.isGone() {
		cancel(errGone)
		return ctx
	}
	c.after(watchAfter, func() {
		c.mu.Lock()
		fd, err := unix.FcntlInt(uintptr(c.fd), unix.F_DUPFD_CLOEXEC, 0)
		c.mu.Unlock()
		if err != nil { // closed: the request is answered
			return
		}
		defer unix.Close(fd)
		if pollGone(fd, -1) {
			cancel(errGone)
		}
	})
	return ctx
}

func (c *conn) isGone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return pollGone(c.fd, 0)
}

// pollGone waits until the other end of a connection is closed, or this end is shut down. It reports
// whether either is so after a time in milliseconds, or without a bound if that is -1.
func pollGone(fd, ms int) bool {
	wanted := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLRDHUP}}
	for {
		if n, err := unix.Poll(wanted, ms); err != unix.EINTR {
			return n > 0
		}
	}
}
