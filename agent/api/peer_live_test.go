package api

import (
	"bufio"
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
