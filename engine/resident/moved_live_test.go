package resident

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// movedDir is the environment variable by which the test program is the service of
// TestServiceWithAThreadElsewhere. It has the directory of the state.
const movedDir = "BERTH_TEST_MOVED"

// serveMoved serves until the end of standard input. After the first connection its first thread is in
// another network namespace, as each thread of the service is while it works in a container's.
func serveMoved(dir string) {
	runtime.LockOSThread()
	socket, err := Listen(dir)
	if err != nil {
		panic(err)
	}
	s := Server{Do: func(Request) Answer { return Answer{} }, Log: slog.Default()}
	go s.Serve(context.Background(), socket)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: filepath.Join(dir, SocketName)}); err != nil {
		panic(err)
	}
	if n, err := unix.Read(fd, make([]byte, 1)); n != 1 {
		panic(err)
	}
	unix.Close(fd)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		panic(err)
	}
	os.Stdout.WriteString("moved\n")
	_, _ = io.Copy(io.Discard, os.Stdin) // its end ends the service
}

// TestServiceWithAThreadElsewhere has a client while the first thread of the service, by which /proc/self
// describes the process, is in a container's network namespace.
func TestServiceWithAThreadElsewhere(t *testing.T) {
	p := newPlace(t)
	service := exec.Command("/proc/self/exe")
	service.Env, service.Stderr = append(os.Environ(), movedDir+"="+p.state), os.Stderr
	in, err := service.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if line != "moved\n" {
		t.Errorf("the service wrote %q: %v", line, err)
	}
	if status, stderr := p.runClient("{}"); status != 0 || stderr != "" {
		t.Errorf("status %d: %s", status, stderr)
	}
	p.requireNoFallback()
	in.Close()
	if err := service.Wait(); err != nil {
		t.Error(err)
	}
}
