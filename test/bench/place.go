package main

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/traffic"
)

// A place is one end of a path: a network namespace, and its address there.
type place struct {
	path string
	addr netip.Addr
}

// within calls fn on a thread that is in the place.
func (p place) within(fn func() error) error { return traffic.Within(p.path, fn) }

// socket returns a blocking UDP socket of the place. It bypasses the Go runtime's
// poller, whose wake-ups would be measured too.
func (p place) socket(port int) (fd int, err error) {
	err = p.within(func() error {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		wait := unix.NsecToTimeval(int64(5 * time.Second))
		return errors.Join(
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
			unix.Bind(fd, &unix.SockaddrInet4{Port: port, Addr: p.addr.As4()}))
	})
	return fd, err
}

func (p place) at(port int) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: port, Addr: p.addr.As4()}
}

// The ports of RFC 862 and RFC 863: echo returns datagrams, discard does not.
const (
	portEcho    = 7
	portDiscard = 9
)

// roundTrip returns the median round-trip time of n small datagrams from one place to
// another.
func roundTrip(from, to place, n int) (time.Duration, error) {
	server, err := to.socket(portEcho)
	if err != nil {
		return 0, err
	}
	client, err := from.socket(0)
	if err != nil {
		return 0, errors.Join(err, unix.Close(server))
	}
	echoed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		echoed <- echo(server)
	}()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	took, err := roundTripsOf(client, to.at(portEcho), n)
	err = errors.Join(err, unix.Sendto(client, nil, 0, to.at(portEcho)), <-echoed)
	return median(append(took, 0)), errors.Join(err, unix.Close(client), unix.Close(server))
}

// receive waits for a datagram. It repeats the call after signals of the Go runtime,
// because a call with a timeout is not restarted (signal(7)).
func receive(fd int, buf []byte) (n int, from unix.Sockaddr, err error) {
	for {
		if n, from, err = unix.Recvfrom(fd, buf, 0); !errors.Is(err, unix.EINTR) {
			return n, from, err
		}
	}
}

// echo returns datagrams to their senders until it receives an empty one.
func echo(fd int) error {
	buf := make([]byte, 64)
	for {
		n, from, err := receive(fd, buf)
		if err != nil {
			return fmt.Errorf("echo: %w", err)
		}
		if n == 0 {
			return nil
		}
		if err := unix.Sendto(fd, buf[:n], 0, from); err != nil {
			return fmt.Errorf("echo: %w", err)
		}
	}
}

func roundTripsOf(fd int, at unix.Sockaddr, n int) (took []time.Duration, err error) {
	buf := make([]byte, 18)
	for range n {
		begin := time.Now()
		if err := unix.Sendto(fd, buf, 0, at); err != nil {
			return nil, err
		}
		if _, _, err := receive(fd, buf); err != nil {
			return nil, fmt.Errorf("no answer: %w", err)
		}
		took = append(took, time.Since(begin))
	}
	return took, nil
}
