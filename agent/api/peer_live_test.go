package api

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"berth/agent/client"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// statusOf sends a request as a user, on a thread that ends afterwards.
func statusOf(t *testing.T, uid int, socket, method, path string) int {
	t.Helper()
	type result struct {
		status int
		err    error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- result{err: errno}
			return
		}
		c, err := net.Dial("unix", socket)
		if err != nil {
			done <- result{err: err}
			return
		}
		defer c.Close()
		io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: berthd\r\nConnection: close\r\n\r\n")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			done <- result{err: err}
			return
		}
		done <- result{status: answer.StatusCode}
	}()
	r := <-done
	if r.err != nil {
		t.Fatal(r.err)
	}
	return r.status
}

func TestOnlyRootChanges(t *testing.T) {
	f := &fake{}
	_, _, dir := serveBackend(t, f)
	socket := filepath.Join(dir, client.SocketName)
	for path, mode := range map[string]os.FileMode{filepath.Dir(dir): 0o711, dir: 0o711, socket: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	if got := statusOf(t, nobody, socket, "GET", "/v1/status"); got != http.StatusOK {
		t.Errorf("status of a read by another user %d, want 200", got)
	}
	for _, path := range []string{"/v1/detach", "/v1/detach?purge=1", "/v1/attach"} {
		if got := statusOf(t, nobody, socket, "POST", path); got != http.StatusForbidden {
			t.Errorf("POST %s by another user: %d, want 403", path, got)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("the agent did %q for another user", f.calls)
	}
	if got := statusOf(t, 0, socket, "POST", "/v1/detach"); got != http.StatusOK {
		t.Errorf("POST by root: %d, want 200", got)
	}
	if got := statusOf(t, nobody, socket, "GET", "/debug/pprof/heap"); got != http.StatusForbidden {
		t.Errorf("profile by another user: %d, want 403", got)
	}
	for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline", "/debug/pprof/symbol"} {
		if got := statusOf(t, 0, socket, "GET", path); got != http.StatusOK {
			t.Errorf("GET %s by root: %d, want 200", path, got)
		}
	}
}

// TestViewsOnlyRead requires that the socket for views answers any user's reads and no
// change, and that a user without the directory cannot reach it.
func TestViewsOnlyRead(t *testing.T) {
	f := &fake{}
	c, _, dir := serveBackend(t, f)
	for _, path := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(path, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	socket := filepath.Join(dir, client.ViewDir, client.SocketName)
	for request, want := range map[[2]string]int{
		{"GET", "/v1/status"}:        http.StatusOK,
		{"GET", "/v1/endpoints"}:     http.StatusOK,
		{"GET", "/v1/changes"}:       http.StatusOK,
		{"POST", "/v1/detach"}:       http.StatusNotFound,
		{"POST", "/v1/attach"}:       http.StatusNotFound,
		{"POST", "/v1/status"}:       http.StatusMethodNotAllowed,
		{"GET", "/debug/pprof/heap"}: http.StatusNotFound,
		{"GET", "/metrics"}:          http.StatusNotFound,
	} {
		if got := statusOf(t, 0, socket, request[0], request[1]); got != want {
			t.Errorf("%s %s: status %d, want %d", request[0], request[1], got, want)
		}
	}
	if _, err := client.New(filepath.Join(dir, client.ViewDir)).Status(t.Context()); err != nil {
		t.Errorf("a client of the directory: %v", err)
	}
	if got := connectAs(nobody, socket); !errors.Is(got, unix.EACCES) {
		t.Errorf("another user's connection: %v, want EACCES", got)
	}
	if err := os.Chmod(filepath.Dir(filepath.Dir(socket)), 0o711); err != nil { // as if the directory were bound elsewhere
		t.Fatal(err)
	}
	if got := statusOf(t, nobody, socket, "GET", "/v1/status"); got != http.StatusOK {
		t.Errorf("status of a user who has the directory %d, want 200", got)
	}
	if _, err := c.Status(t.Context()); err != nil || len(f.calls) > 0 {
		t.Errorf("the first socket: %v; the agent did %q", err, f.calls)
	}
}

// connectAs connects to a socket as a user, on a thread that ends afterwards.
func connectAs(uid int, socket string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			done <- errno
			return
		}
		c, err := net.Dial("unix", socket)
		if err == nil {
			err = c.Close()
		}
		done <- err
	}()
	return <-done
}
