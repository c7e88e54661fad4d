package testnet

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// stage is the environment variable with the stage of a re-executed test binary:
// unset, "init" (process 1 of the new namespaces), "test".
const stage = "BERTH_TESTNET_STAGE"

// Main is the complete TestMain of a privileged package: it runs the tests in new
// network, mount and process namespaces with a tmpfs at /run, a bpffs at
// /sys/fs/bpf and lo up. /sys itself stays the outer one, so it shows the
// interfaces of the machine. Without root the tests run without new namespaces,
// and those that call [Need] or [Namespace] are skipped.
func Main(m *testing.M) {
	switch {
	case os.Getenv(stage) == "test" || os.Geteuid() != 0 || slices.Contains(os.Args, "-test.fuzzworker"):
		os.Exit(m.Run())
	case os.Getenv(stage) == "init":
		os.Exit(initProcess())
	}
	os.Exit(isolateSelf())
}

// isolateSelf runs this binary as process 1 of new namespaces.
func isolateSelf() int {
	runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
	p, err := startSelf("init", &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	})
	if err != nil {
		return printFailure(err)
	}
	state, err := p.Wait()
	if err != nil {
		return printFailure(err)
	}
	if ws := state.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return state.ExitCode()
}

// initProcess prepares the namespaces, runs the tests in a child, reaps orphaned
// processes, and returns the exit status of the child.
func initProcess() int {
	if err := mountFilesystems(); err != nil {
		return printFailure(err)
	}
	p, err := startSelf("test", &syscall.SysProcAttr{})
	if err != nil {
		return printFailure(err)
	}
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			return printFailure(err)
		case pid == p.Pid && ws.Signaled():
			return 128 + int(ws.Signal())
		case pid == p.Pid:
			return ws.ExitStatus()
		}
	}
}

func startSelf(next string, attr *syscall.SysProcAttr) (*os.Process, error) {
	if err := os.Setenv(stage, next); err != nil {
		return nil, err
	}
	return os.StartProcess("/proc/self/exe", os.Args, &os.ProcAttr{
		Env:   os.Environ(),
		Files: []*os.File{os.Stdin, os.Stdout, os.Stderr},
		Sys:   attr,
	})
}

// mountFilesystems mounts the tests' own file systems.
func mountFilesystems() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	for _, m := range []struct{ fstype, at, options string }{
		{"proc", "/proc", ""},
		{"tmpfs", "/run", "mode=755"},
		{"bpf", "/sys/fs/bpf", "mode=700"},
	} {
		if err := unix.Mount(m.fstype, m.at, m.fstype, 0, m.options); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.fstype, m.at, err)
		}
	}
	return loopbackUp()
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	return netlink.LinkSetUp(lo)
}

func printFailure(err error) int {
	fmt.Fprintln(os.Stderr, "testnet:", err)
	return 1
}
