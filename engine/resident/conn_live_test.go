package resident

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// TestReadAfterASignal interrupts a read, as a stop of the process and Go's runtime do.
func TestReadAfterASignal(t *testing.T) {
	t.Parallel()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pair[1])
	c := &conn{fd: pair[0]}
	defer c.close()
	if err := c.limitReads(time.Minute); err != nil {
		t.Fatal(err)
	}
	thread, result := make(chan int), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		thread <- unix.Gettid()
		_, err := c.Read(make([]byte, 1))
		result <- err
	}()
	id := <-thread
	for range 10 {
		testnet.Eventually(t, "the thread waits, or the read has ended", func() bool { return len(result) > 0 || sleeps(id) })
		if err := unix.Tgkill(os.Getpid(), id, unix.SIGURG); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := unix.Write(pair[1], []byte("a")); err != nil {
		t.Fatal(err)
	}
	if err := <-result; err != nil {
		t.Error(err)
	}
}

// sleeps reports whether a thread of this process waits in the kernel (proc_pid_stat(5)).
func sleeps(thread int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/stat", thread))
	_, rest, ok := strings.Cut(string(text), ") ")
	return err == nil && ok && rest[0] == 'S'
}
