package network

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

// namespaceHere returns the network namespace of the calling thread.
func namespaceHere(t *testing.T) string {
	t.Helper()
	name, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Error(err)
	}
	return name
}

// TestCallsInNamespaces makes calls in many namespaces at once, while Go's runtime interrupts and
// moves goroutines: each call is made in its namespace, and no thread stays there.
func TestCallsInNamespaces(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	const namespaces, calls = 6, 50
	home := namespaceHere(t)
	var all sync.WaitGroup
	for range namespaces {
		ns, n := newContainer(t)
		var want uint64
		testnet.In(t, ns, func() { want = cookieHere(t) })
		all.Go(func() {
			for range calls {
				fd, err := n.openSocket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Error(err)
					return
				}
				got, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
				unix.Close(fd)
				if err != nil || got != want {
					t.Errorf("a socket of namespace %d, %v; want %d", got, err, want)
				}
				runtime.Gosched()
				if here := namespaceHere(t); here != home {
					t.Errorf("the thread stayed in %s", here)
				}
			}
		})
	}
	for range calls {
		runtime.GC() // it interrupts every goroutine
	}
	all.Wait()
}

func cookieHere(t *testing.T) uint64 {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
		return 0
	}
	defer unix.Close(fd)
	cookie, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		t.Error(err)
	}
	return cookie
}

// TestCallRestoresSignals compares the thread's blocked signals before and after a call.
func TestCallRestoresSignals(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	_, n := newContainer(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	blocked := func() (set unix.Sigset_t) {
		if err := unix.PthreadSigmask(unix.SIG_BLOCK, nil, &set); err != nil {
			t.Fatal(err)
		}
		return set
	}
	before := blocked()
	if _, err := n.openFile("/proc/sys/net/no such file", unix.O_RDONLY); err != unix.ENOENT {
		t.Errorf("a file that does not exist: %v", err)
	}
	if after := blocked(); after != before {
		t.Errorf("signals %v were blocked, now %v", before, after)
	}
}

// TestCallBlocksSignals reads the thread's blocked signals by a call: all but those that cannot be
// blocked.
func TestCallBlocksSignals(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	_, n := newContainer(t)
	var blocked uint64
	_, failed, errno := callIn(n.fd, unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, 0, uintptr(unsafe.Pointer(&blocked)),
		unsafe.Sizeof(blocked))
	if want := ^uint64(1<<(unix.SIGKILL-1) | 1<<(unix.SIGSTOP-1)); failed != 0 || errno != 0 || blocked != want {
		t.Errorf("%x are blocked (%d, %v), want %x", blocked, failed, errno, want)
	}
	if err := explainCall("socket", failedBlock, unix.EINVAL); !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "block signals") {
		t.Errorf("signals that cannot be blocked: %v", err)
	}
}

func TestCallRefused(t *testing.T) {
	t.Parallel()
	testnet.Need(t, testnet.Root)
	wrong, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(wrong)
	home := namespaceHere(t)
	for _, n := range []*Namespace{{fd: wrong}, {fd: -1}} {
		if fd, err := n.openSocket(unix.AF_UNIX, unix.SOCK_DGRAM, 0); err == nil || fd != -1 {
			t.Errorf("descriptor %d, which is no namespace: socket %d, %v; want -1 and an error", n.fd, fd, err)
		}
		if fd, err := n.openFile("/proc/sys/net/core/somaxconn", unix.O_RDONLY); err == nil || fd != -1 {
			t.Errorf("descriptor %d, which is no namespace: file %d, %v; want -1 and an error", n.fd, fd, err)
		}
	}
	if here := namespaceHere(t); here != home {
		t.Errorf("the thread is in %s", here)
	}
}
