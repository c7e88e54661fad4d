package resident

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
	"berth/test/command"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(movedDir); dir != "" {
		serveMoved(dir)
		return
	}
	if path := os.Getenv(connectTo); path != "" {
		connectInherited(path)
		return
	}
	testnet.Main(m)
}

// place is a directory with the client, and beside it a berth-hook that writes down how it was run.
type place struct {
	*testing.T
	dir, state string
}

// hookScript writes its arguments and its standard input to files, and its environment's ONE.
const hookScript = `printf '%s\n' "$@" >"${0%/*}/args"
cat >"${0%/*}/input"
printf '%s' "$ONE" >"${0%/*}/one"
echo "berth-hook was here" >&2
exit 7
`

func newPlace(t *testing.T) place {
	t.Helper()
	t.Parallel()
	p := place{t, t.TempDir(), t.TempDir()}
	testnet.Script(t, filepath.Join(p.dir, "berth-hook"), hookScript)
	if err := command.HookClient(context.Background(), "../..", p.dir); err != nil {
		t.Fatal(err)
	}
	return p
}

// client is a run of the client, as a runtime's hook.
func (p place) client(state string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(p.dir, "berth-hook-client"), append([]string{"--state", p.state}, args...)...)
	cmd.Stdin, cmd.Env = strings.NewReader(state), []string{"ONE=1", "PATH=" + os.Getenv("PATH")}
	return cmd
}

// runClient runs the client to its end.
func (p place) runClient(state string, args ...string) (status int, stderr string) {
	p.Helper()
	cmd := p.client(state, args...)
	var text bytes.Buffer
	cmd.Stderr = &text
	if err := cmd.Run(); cmd.ProcessState == nil {
		p.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), text.String()
}

// requireFallback checks that the client ran the berth-hook beside it, with the same input.
func (p place) requireFallback(status int, state string, args ...string) {
	p.Helper()
	want := "--state\n" + p.state + "\n" + strings.Join(append(args, ""), "\n")
	if status != 7 || p.readFile("args") != want || p.readFile("input") != state || p.readFile("one") != "1" {
		p.Errorf("status %d, arguments %q, %d bytes of state, environment %q; want 7, %q, %d bytes, \"1\"",
			status, p.readFile("args"), len(p.readFile("input")), p.readFile("one"), want, len(state))
	}
}

func (p place) requireNoFallback() {
	p.Helper()
	if _, err := os.Stat(filepath.Join(p.dir, "args")); err == nil {
		p.Error("the client ran berth-hook")
	}
}

func (p place) readFile(name string) string {
	p.Helper()
	text, err := os.ReadFile(filepath.Join(p.dir, name))
	if err != nil {
		p.Fatal(err)
	}
	return string(text)
}

// serve runs a service until the end of the test.
func (p place) serve(do func(Request) Answer) (stop func()) {
	p.Helper()
	socket, err := Listen(p.state)
	if err != nil {
		p.Fatal(err)
	}
	return p.serveOn(socket, do)
}

// serveOn is serve on a socket, which stop closes.
func (p place) serveOn(socket *os.File, do func(Request) Answer) (stop func()) {
	p.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		s := Server{Do: do, Log: slog.New(slog.DiscardHandler)}
		ended <- s.Serve(ctx, socket)
	}()
	var done bool
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := errors.Join(<-ended, socket.Close()); err != nil {
			p.Error(err)
		}
	}
	p.Cleanup(stop)
	return stop
}

// stateOf is a state of a size in bytes.
func stateOf(size int) string { return strings.Repeat("0123456789abcdef", size/16+1)[:size] }

func TestClientHandsOver(t *testing.T) {
	p := newPlace(t)
	got := make(chan Request, 1)
	p.serve(func(q Request) Answer { got <- q; return Answer{} })
	for _, size := range []int{0, 1, 4096, 1 << 20} {
		state := stateOf(size)
		status, stderr := p.runClient(state, "--network", "a b", "", "createRuntime")
		if status != 0 || stderr != "" {
			t.Fatalf("a state of %d bytes: status %d: %s", size, status, stderr)
		}
		q := <-got
		if want := []string{"--state", p.state, "--network", "a b", "", "createRuntime"}; !slices.Equal(q.Args, want) {
			t.Errorf("arguments %q, want %q", q.Args, want)
		}
		if string(q.State) != state || q.PID <= 0 {
			t.Errorf("%d bytes of state of process %d, want %d", len(q.State), q.PID, size)
		}
	}
	p.requireNoFallback()
}

// TestClientReports shows that an error of the service is reported by berth-hook, with its status.
func TestClientReports(t *testing.T) {
	for _, status := range []int{0, 1} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			p := newPlace(t)
			text := "network \"lan\" is not defined\n" + stateOf(9000)
			p.serve(func(Request) Answer { return Answer{Err: errors.New(text), Status: status} })
			p.runClient("{}")
			if args, want := p.readFile("args"), fmt.Sprintf("report\n%d\n", status); args != want || p.readFile("input") != text {
				t.Errorf("berth-hook got %q, and %q; want %q, and the error", args, p.readFile("input"), want)
			}
		})
	}
}

// TestClientFallsBack has each way in which a service does not do the work.
func TestClientFallsBack(t *testing.T) {
	for name, c := range map[string]struct {
		size  int
		args  []string
		serve func(p place)
	}{
		"no service": {},
		"declined":   {serve: func(p place) { p.serve(func(Request) Answer { return Answer{Declined: true} }) }},
		"a state that is too long": {size: 1<<20 + 1, serve: func(p place) {
			p.serve(func(q Request) Answer { return Answer{Declined: len(q.State) == 1<<20+1} })
		}},
		"arguments that are too long": {args: []string{stateOf(MaxArgs)},
			serve: func(p place) { p.serve(func(Request) Answer { return Answer{} }) }},
		"no service accepts":      {serve: func(p place) { p.speak(nil) }},
		"ends at once":            {serve: func(p place) { p.speak(func(net.Conn) {}) }},
		"speaks another language": {serve: func(p place) { p.speak(func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400") }) }},
		"ends before the request": {size: 1 << 20, serve: func(p place) {
			p.speak(func(c net.Conn) { io.WriteString(c, "R") })
		}},
		"ends on the way": {serve: func(p place) {
			p.speak(func(c net.Conn) {
				io.WriteString(c, "R")
				_, err := readRequest(c)
				p.require(err)
				io.WriteString(c, "..")
			})
		}},
		"an unknown answer": {serve: func(p place) {
			p.speak(func(c net.Conn) {
				io.WriteString(c, "R")
				_, err := readRequest(c)
				p.require(err)
				io.WriteString(c, "?")
			})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			if c.serve != nil {
				c.serve(p)
			}
			size := max(c.size, 100)
			status, stderr := p.runClient(stateOf(size), c.args...)
			p.requireFallback(status, stateOf(size), c.args...)
			if stderr != "berth-hook was here\n" {
				t.Errorf("standard error: %q", stderr)
			}
		})
	}
}

func (p place) require(err error) {
	if err != nil {
		p.Error(err)
	}
}

// speak is a service that has one conversation with each client, or none if it is nil.
func (p place) speak(with func(net.Conn)) {
	p.Helper()
	l, err := net.Listen("unix", filepath.Join(p.state, SocketName))
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { l.Close() })
	if with == nil {
		return
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			with(c)
			c.Close()
		}
	}()
}

// TestClientReadsLate has a runtime that writes the state slowly, in parts.
func TestClientReadsLate(t *testing.T) {
	p := newPlace(t)
	got := make(chan Request, 1)
	p.serve(func(q Request) Answer { got <- q; return Answer{} })
	cmd := p.client("")
	cmd.Stdin = nil
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`{"id":`, `"c"`, `}`} {
		if _, err := io.WriteString(in, part); err != nil {
			t.Fatal(err)
		}
		testnet.Eventually(t, "the client has read a part", func() bool {
			left, err := unix.IoctlGetInt(int(in.(*os.File).Fd()), unix.TIOCINQ) // FIONREAD
			return err == nil && left == 0
		})
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if q := <-got; string(q.State) != `{"id":"c"}` {
		t.Errorf("state %q", q.State)
	}
}

// TestClientWaitsForTheEnd has a caller that does not close standard input.
func TestClientWaitsForTheEnd(t *testing.T) {
	p := newPlace(t)
	p.serve(func(Request) Answer { return Answer{} })
	cmd := p.client("")
	cmd.Stdin = nil
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err == nil {
		_, err = io.WriteString(in, "{}")
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // its status is checked
	runtime.KeepAlive(in)
	if status := cmd.ProcessState.ExitCode(); status != 1 || !strings.Contains(stderr.String(), "the caller must close it") {
		t.Errorf("status %d: %s", status, &stderr)
	}
	p.requireNoFallback()
}

// TestClientWithoutStandardInput has a caller that closed all files, as a prober has.
func TestClientWithoutStandardInput(t *testing.T) {
	p := newPlace(t)
	out, err := exec.Command("sh", "-c", `"$0" --state "$1" ahead <&- 2>/dev/null; echo $?`,
		filepath.Join(p.dir, "berth-hook-client"), p.state).Output()
	if err != nil || strings.TrimSpace(string(out)) != "7" {
		t.Errorf("status %q, want 7: %v", out, err)
	}
}

// TestClientFinishesWithTheService stops a service while a request is served: the request gets its answer.
func TestClientFinishesWithTheService(t *testing.T) {
	p := newPlace(t)
	begun, end := make(chan bool), make(chan bool)
	stop := p.serve(func(Request) Answer { begun <- true; <-end; return Answer{} })
	cmd := p.client("{}")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	stopped := make(chan bool)
	go func() { stop(); close(stopped) }()
	close(end)
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	<-stopped
	p.requireNoFallback()
}

// killDuring runs a client, and kills it as soon as its request has begun.
func (p place) killDuring(begun <-chan bool) {
	p.Helper()
	cmd := p.client("{}")
	if err := cmd.Start(); err != nil {
		p.Fatal(err)
	}
	<-begun
	if err := cmd.Process.Kill(); err != nil {
		p.Fatal(err)
	}
	_ = cmd.Wait() // "signal: killed"
}

// TestClientEnds kills a client, whose request ends with it.
func TestClientEnds(t *testing.T) {
	p := newPlace(t)
	begun, gone := make(chan bool), make(chan error, 1)
	p.serve(func(q Request) Answer {
		ctx, cancel := context.WithTimeout(q.UntilGone(context.Background()), time.Minute)
		defer cancel()
		begun <- true
		<-ctx.Done()
		gone <- context.Cause(ctx)
		return Answer{Err: ctx.Err(), Status: 1}
	})
	p.killDuring(begun)
	if err := <-gone; !errors.Is(err, errGone) {
		t.Errorf("the request ended with %v, want %v", err, errGone)
	}
}

// TestClientEndedBefore has a request whose client has ended before its work is begun, as it waited for a lock.
func TestClientEndedBefore(t *testing.T) {
	p := newPlace(t)
	begun, ended, gone := make(chan bool), make(chan bool), make(chan error, 1)
	p.serve(func(q Request) Answer {
		begun <- true
		<-ended
		gone <- context.Cause(q.UntilGone(context.Background()))
		return Answer{}
	})
	p.killDuring(begun)
	close(ended)
	if err := <-gone; !errors.Is(err, errGone) {
		t.Errorf("the request begins with %v, want %v", err, errGone)
	}
}

// TestSignsOfLife reads two signs of a long request, and then its answer.
func TestSignsOfLife(t *testing.T) {
	p := newPlace(t)
	end := make(chan bool)
	p.serve(func(Request) Answer { <-end; return Answer{} })
	c, err := net.Dial("unix", filepath.Join(p.state, SocketName))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("\x02\x00\x00\x00\x00\x00\x00\x00h\x00")); err != nil {
		t.Fatal(err)
	}
	signs := make([]byte, 3)
	if _, err := io.ReadFull(c, signs); err != nil || string(signs) != "R.." {
		t.Fatalf("got %q, %v; want \"R..\"", signs, err)
	}
	close(end)
	rest, err := io.ReadAll(c)
	if err != nil || strings.TrimLeft(string(rest), ".") != "D" {
		t.Errorf("got %q, %v; want \"D\"", rest, err)
	}
}

// TestClientOfOthers has clients that the service refuses. They run berth-hook.
func TestClientOfOthers(t *testing.T) {
	for name, by := range map[string][]string{
		"another user":                  {"setpriv", "--reuid=65534", "--clear-groups"},
		"another network namespace":     {"unshare", "--net"},
		"another namespace of users":    {"unshare", "--user", "--map-root-user"},
		"another namespace of pids":     {"unshare", "--pid", "--fork"},
		"root who cannot enter others":  {"setpriv", "--bounding-set=-sys_admin"},
		"root who makes no interfaces":  {"setpriv", "--bounding-set=-net_admin"},
		"another namespace of mounting": {"unshare", "--mount"}, // it is served
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			for _, dir := range []string{filepath.Dir(p.dir), p.dir, filepath.Dir(p.state), p.state} {
				if err := os.Chmod(dir, 0o777); err != nil { // for the other user, who writes to it
					t.Fatal(err)
				}
			}
			p.serve(func(Request) Answer { return Answer{} })
			cmd := p.client("{}")
			cmd.Args = append(append(by, cmd.Path), cmd.Args[1:]...)
			cmd.Path = testnet.Program(t, by[0])
			_ = cmd.Run() // its status is checked
			if by[1] == "--mount" {
				p.requireNoFallback()
				return
			}
			p.requireFallback(cmd.ProcessState.ExitCode(), "{}")
		})
	}
}

// TestListenRefuses has sockets that cannot be taken.
func TestListenRefuses(t *testing.T) {
	p := newPlace(t)
	p.serve(func(Request) Answer { return Answer{} })
	if _, err := Listen(p.state); err == nil || !strings.Contains(err.Error(), "another process serves it") {
		t.Errorf("a second service: %v", err)
	}
	if _, err := Listen(filepath.Join(p.state, stateOf(200))); err == nil {
		t.Error("a path that is longer than a socket's is accepted")
	}
	info, err := os.Stat(filepath.Join(p.state, SocketName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v; want 0600", info.Mode(), err)
	}
}
