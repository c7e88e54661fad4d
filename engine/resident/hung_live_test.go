package resident

import (
	"context"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestClientReportsLate has a request that fails after the service has begun to watch the client.
func TestClientReportsLate(t *testing.T) {
	p := newPlace(t)
	p.serve(func(q Request) Answer {
		ctx, cancel := context.WithTimeout(q.UntilGone(context.Background()), 10*watchAfter)
		defer cancel()
		<-ctx.Done()
		return Answer{Err: ctx.Err(), Status: 1}
	})
	p.runBounded("{}")
	if args, input := p.readFile("args"), p.readFile("input"); args != "report\n1\n" || input != context.DeadlineExceeded.Error() {
		t.Errorf("berth-hook got %q, and %q; want the error", args, input)
	}
}

// runBounded is runClient. It fails the test if the client hangs.
func (p place) runBounded(state string) (status int) {
	p.Helper()
	cmd := p.client(state)
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	hung := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	var ended *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &ended) {
		p.Fatal(err)
	}
	if !hung.Stop() {
		p.Fatal("the client hangs")
	}
	return cmd.ProcessState.ExitCode()
}

// TestClientOfAHungService has services that hang as a stopped process does.
func TestClientOfAHungService(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		serve func(p place)
	}{
		"before it accepts, for many containers": {100, place.fillBacklog},
		"before it reads a long state":           {1 << 20, func(p place) { p.hangAfter("R", false) }},
		"before it answers":                      {100, func(p place) { p.hangAfter("R", true) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			c.serve(p)
			p.requireFallback(p.runBounded(stateOf(c.size)), stateOf(c.size))
		})
	}
}

// TestClientOfAHalfAnswer has a service that hangs while it reports an error.
func TestClientOfAHalfAnswer(t *testing.T) {
	p := newPlace(t)
	p.hangAfter("R1the network", false)
	p.runBounded("{}")
	if args, input := p.readFile("args"), p.readFile("input"); args != "report\n1\n" || input != "the network" {
		t.Errorf("berth-hook got %q, and %q; want the part of the error", args, input)
	}
}

// hangAfter is a service that writes a text, reads a request if it is told to, and then does nothing
// until the end of the test.
func (p place) hangAfter(text string, reads bool) {
	end := make(chan bool)
	p.Cleanup(func() { close(end) })
	p.speak(func(c net.Conn) {
		_, err := io.WriteString(c, text)
		p.require(err)
		if reads {
			_, err := readRequest(c)
			p.require(err)
		}
		<-end
	})
}

// fillBacklog makes a socket that accepts no client, and fills its queue of clients.
func (p place) fillBacklog() {
	p.Helper()
	at := &unix.SockaddrUnix{Name: filepath.Join(p.state, SocketName)}
	listener := p.socket()
	if err := errors.Join(unix.Bind(listener, at), unix.Listen(listener, 2)); err != nil {
		p.Fatal(err)
	}
	for range 10 {
		if err := unix.Connect(p.socket(), at); err == unix.EAGAIN {
			return
		} else if err != nil {
			p.Fatal(err)
		}
	}
	p.Fatal("the kernel lets more than 10 clients wait")
}

func (p place) socket() int {
	p.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { unix.Close(fd) })
	return fd
}
