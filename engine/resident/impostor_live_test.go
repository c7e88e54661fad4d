package resident

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// TestServiceOfOthers has a service of another user, in a directory that all can write, which answers
// that the work is done. The client does not believe it, and runs berth-hook, which refuses the directory.
func TestServiceOfOthers(t *testing.T) {
	p := newPlace(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "impostor")
	defer file.Close()
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(p.state, SocketName)}); err != nil {
		t.Fatal(err)
	}
	if err := listenAs(fd, 65534); err != nil {
		t.Fatal(err)
	}
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = c.Write([]byte{ready, done}) // the client may have closed it
			_, _ = c.Read(make([]byte, 1<<10))
			c.Close()
		}
	}()
	p.requireFallback(p.runBounded("{}"), "{}")
}

// listenAs calls listen(2) as another user, whom the kernel then names to those who connect (unix(7)).
func listenAs(fd, user int) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		const unchanged = ^uintptr(0)
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, unchanged, uintptr(user), unchanged); errno != 0 {
			ended <- errno
			return
		}
		ended <- unix.Listen(fd, backlog)
	}()
	return <-ended
}
