package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// prepare is the environment variable with the steps that the test binary applies to its
// own process before it executes itself again: one step a line.
const prepare = "BERTHD_PREPARE"

// enterPrepared applies the steps, in a mount namespace of its own, and executes the binary
// again.
func enterPrepared(steps string) error {
	runtime.LockOSThread() // the steps affect the thread, and so its execve
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("mounts of its own: %w", err)
	}
	for step := range strings.Lines(steps) {
		if err := takeStep(strings.Fields(step)); err != nil {
			return fmt.Errorf("%s: %w", step, err)
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Unsetenv(prepare); err != nil {
		return err
	}
	return unix.Exec(exe, os.Args, os.Environ())
}

func takeStep(words []string) error {
	switch step, args := words[0], words[1:]; step {
	case "hide": // hide a path's content
		return unix.Mount("none", args[0], "tmpfs", 0, "")
	case "read-only": // mount an empty read-only directory
		return unix.Mount("none", args[0], "tmpfs", unix.MS_RDONLY, "")
	case "unmount": // with the mounts below it
		return unmountAll(args[0])
	case "all-read-only": // except these and the kernel's
		return allReadOnly(args)
	case "drop":
		return dropCapabilities(func(c int) bool { return slices.Contains(args, strconv.Itoa(c)) })
	case "keep":
		err := dropCapabilities(func(c int) bool { return !slices.Contains(args, strconv.Itoa(c)) })
		return errors.Join(err, unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
	}
	return errors.New("no such step")
}

func unmountAll(path string) error {
	for {
		if err := unix.Unmount(path, unix.MNT_DETACH); errors.Is(err, unix.EINVAL) {
			return nil // nothing is mounted there
		} else if err != nil {
			return err
		}
	}
}

// allReadOnly is ProtectSystem=strict with /proc, /run and /sys read-only and
// ReadWritePaths= (systemd.exec(5)).
func allReadOnly(but []string) error {
	for _, path := range but {
		if err := unix.Mount(path, path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(table)) {
		at := strings.Fields(line)[4]
		if strings.HasPrefix(at, "/dev") || slices.ContainsFunc(but, func(path string) bool { return at == path || strings.HasPrefix(at, path+"/") }) {
			continue
		}
		err := unix.Mount("", at, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
		if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) { // below another mount
			return fmt.Errorf("%s: %w", at, err)
		}
	}
	if err := os.WriteFile("/run/written", nil, 0o600); !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("write to /run: %w, want EROFS", err)
	}
	return nil
}

// dropCapabilities removes capabilities from the bounding set, so that the next program
// does not get them.
func dropCapabilities(these func(int) bool) error {
	for c := 0; c <= unix.CAP_LAST_CAP; c++ {
		if !these(c) {
			continue
		}
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil && !errors.Is(err, unix.EINVAL) {
			return err
		}
	}
	return nil
}

// preparedCommand returns the agent after these steps.
func (l *lab) preparedCommand(steps string, args ...string) *exec.Cmd {
	cmd := l.agentCommand(append([]string{"--metrics", ""}, args...)...)
	cmd.Env = append(cmd.Env, prepare+"="+steps)
	return cmd
}
