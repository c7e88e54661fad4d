package testnet

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// NS is a network namespace that a test made. It ends with the test, unless a
// process or a socket holds it.
type NS struct {
	file *os.File
}

// FD returns the descriptor of the namespace, open until the test ends.
func (n *NS) FD() int { return int(n.file.Fd()) }

// Path returns a path that other processes can open too while the test runs.
func (n *NS) Path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.FD()) }

// Close releases the namespace before the test ends.
func (n *NS) Close() error { return n.file.Close() }

// Namespace makes a network namespace with lo up.
func Namespace(t testing.TB) *NS {
	t.Helper()
	Need(t, Root)
	runtime.LockOSThread()
	home := threadNS(t)
	defer leaveNamespace(home)
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare network namespace: %v", err)
	}
	ns := &NS{file: threadNS(t)}
	t.Cleanup(func() { _ = ns.file.Close() }) // a test may have closed it already
	if err := loopbackUp(); err != nil {
		t.Fatal(err)
	}
	return ns
}

// Here returns the namespace of the test binary.
func Here(t testing.TB) *NS {
	t.Helper()
	ns := &NS{file: threadNS(t)}
	t.Cleanup(func() { _ = ns.file.Close() })
	return ns
}

// In runs fn on a thread in a namespace. Processes that fn starts are in it;
// goroutines that it starts are not.
func In(t testing.TB, ns *NS, fn func()) {
	t.Helper()
	runtime.LockOSThread()
	home := threadNS(t)
	defer leaveNamespace(home)
	if err := unix.Setns(ns.FD(), unix.CLONE_NEWNET); err != nil {
		t.Fatalf("enter namespace: %v", err)
	}
	fn()
}

// Run runs a command in a namespace and returns its standard output. If the
// command fails, the test ends with its standard error too.
func Run(t testing.TB, ns *NS, name string, args ...string) string {
	t.Helper()
	var out []byte
	var err error
	var complaint strings.Builder
	In(t, ns, func() {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Stderr = &complaint
		out, err = cmd.Output()
	})
	if err != nil {
		t.Fatalf("%s %q: %v\n%s%s", name, args, err, complaint.String(), out)
	}
	return string(out)
}

// Process starts a process that waits in a namespace, as a container does, and
// returns it. It ends with the test, or by [os.Process.Kill].
func Process(t testing.TB, ns *NS) *os.Process {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	var err error
	In(t, ns, func() { err = cmd.Start() })
	if err != nil {
		t.Fatalf("start a process: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // a test may have ended it already
		_ = cmd.Wait()
	})
	return cmd.Process
}

// Netlink returns a netlink handle in a namespace, for the test's own use.
func Netlink(t testing.TB, ns *NS) *netlink.Handle {
	t.Helper()
	h, err := netlink.NewHandleAt(netns.NsHandle(ns.FD()), unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatalf("open netlink: %v", err)
	}
	t.Cleanup(h.Close)
	return h
}

var names atomic.Uint32

// Unique returns an interface name of at most 15 bytes that no other call in
// this process returns. Of the prefix, the first 8 bytes are used.
func Unique(prefix string) string {
	return fmt.Sprintf("%.8s%d", prefix, names.Add(1))
}

// eventually is the deadline of a condition, long enough for an emulated machine on a
// loaded one.
const eventually = 2 * time.Minute

// Eventually waits until a condition holds: it checks at first every few milliseconds,
// then ten times a second, as some conditions run programs. The test fails if the
// condition does not hold in time.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(eventually)
	for pause := 2 * time.Millisecond; !holds(); pause = min(2*pause, 100*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", eventually, what)
		}
		time.Sleep(pause)
	}
}

func threadNS(t testing.TB) *os.File {
	t.Helper()
	f, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatalf("open own namespace: %v", err)
	}
	return f
}

// leaveNamespace returns the thread to its namespace. It panics on failure, because a test
// must not continue in an unknown namespace.
func leaveNamespace(home *os.File) {
	if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
		panic(fmt.Sprintf("return to namespace: %v", err))
	}
	_ = home.Close()
	runtime.UnlockOSThread()
}
