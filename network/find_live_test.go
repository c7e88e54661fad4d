package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"berth/internal/testnet"
)

// hopTo in the environment makes this test binary a process that alternates
// between the namespace of that path and its own, until it is killed.
const hopTo = "BERTH_NETWORK_HOP_TO"

func init() {
	if path := os.Getenv(hopTo); path != "" {
		runtime.LockOSThread() // init runs on the process's first thread
		fmt.Fprintln(os.Stderr, hopNamespaces(path))
		os.Exit(1)
	}
}

func hopNamespaces(path string) error {
	there, err := os.Open(path)
	if err != nil {
		return err
	}
	home, err := os.Open("/proc/thread-self/ns/net")
	for err == nil {
		err = errors.Join(unix.Setns(int(there.Fd()), unix.CLONE_NEWNET), unix.Setns(int(home.Fd()), unix.CLONE_NEWNET))
	}
	return err
}

func TestFindNamespace(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	process := testnet.Process(t, ns)
	opened, err := OpenPID(process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	cookie, err := opened.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	found, err := FindNamespace(cookie)
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	if same, err := found.Same(opened); err != nil || !same {
		t.Errorf("another namespace: %v", err)
	}
	if _, err := FindNamespace(1 << 63); !errors.Is(err, ErrNoNamespace) {
		t.Errorf("error %v of a cookie that nobody has", err)
	}
}

// A process that enters and leaves, as one that an administrator starts with ip
// netns exec, does not hide the namespace from later processes.
func TestFindNamespaceBehindAHopper(t *testing.T) {
	t.Parallel()
	ns := testnet.Namespace(t)
	opened, err := OpenPath(ns.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	cookie, err := opened.Cookie()
	if err != nil {
		t.Fatal(err)
	}
	hopper := exec.Command("/proc/self/exe")
	hopper.Env = append(os.Environ(), hopTo+"="+ns.Path())
	if err := hopper.Start(); err != nil {
		t.Fatal(err)
	}
	defer hopper.Wait()
	defer hopper.Process.Kill()
	testnet.Process(t, ns)
	for i := range 500 {
		found, err := FindNamespace(cookie)
		if err != nil {
			t.Fatalf("look %d: %v", i, err)
		}
		if err := found.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
