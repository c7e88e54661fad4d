package resident

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// connectTo is the environment variable by which the test program connects the socket that it
// inherited to the path in it, and ends.
const connectTo = "BERTH_TEST_CONNECT"

func connectInherited(path string) {
	if err := unix.Connect(3, &unix.SockaddrUnix{Name: path}); err != nil {
		panic(err)
	}
}

// TestReusedProcessID has a client without the capabilities that ends before the service accepts it, and
// whose process ID another program of root has then. The connection lives on: another process has it.
func TestReusedProcessID(t *testing.T) {
	p := newPlace(t)
	socket, err := Listen(p.state)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "client")
	defer file.Close()
	if _, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD); errors.Is(err, unix.ENOPROTOOPT) {
		t.Skip("this kernel is older than 6.5: a connection does not have its process's pidfd (SO_PEERPIDFD)")
	}
	client := exec.Command(testnet.Program(t, "setpriv"), "--bounding-set=-net_admin", "/proc/self/exe")
	if client.Args[2], err = os.Executable(); err != nil {
		t.Fatal(err)
	}
	client.Env = append(os.Environ(), connectTo+"="+filepath.Join(p.state, SocketName))
	client.ExtraFiles, client.Stderr = []*os.File{file}, os.Stderr
	if err := client.Run(); err != nil {
		t.Fatal(err)
	}
	takeProcessID(t, client.Process.Pid)
	p.serveOn(socket, func(q Request) Answer {
		t.Errorf("the request of process %d is served", q.PID)
		return Answer{}
	})
	conn, err := net.FileConn(file)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("\x02\x00\x00\x00\x00\x00\x00\x00h\x00")) // it may be closed already
	var answer bytes.Buffer
	_, _ = answer.ReadFrom(conn)
	if answer.Len() > 0 {
		t.Errorf("the service answers %q", answer.String())
	}
}

// takeProcessID starts a program that has a process ID until the end of the test.
func takeProcessID(t *testing.T, id int) {
	t.Helper()
	testnet.Eventually(t, "a process with the ID "+strconv.Itoa(id), func() bool {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(id-1)), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sleep", "infinity")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		end := func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
		if cmd.Process.Pid != id { // another program was faster
			end()
			return false
		}
		t.Cleanup(end)
		return true
	})
}
