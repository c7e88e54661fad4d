package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth/engine/wrapper"
	"berth/hook"
)

// reportStage is the argument by which the program reports an error of the service, as if the
// error were its own: "report 0" or "report 1", which is its exit status. It is not part of
// the contract.
const reportStage = "report"

// runReport is the body of that process.
func runReport(args []string) int {
	if len(args) != 1 || args[0] != "0" && args[0] != "1" {
		fmt.Fprintf(os.Stderr, "berth-hook: %s %q: want an exit status, 0 or 1\n", reportStage, args)
		return 2
	}
	text, err := io.ReadAll(io.LimitReader(os.Stdin, hook.MaxState))
	if err == nil {
		err = errors.New(string(text))
	}
	reportError(err)
	return int(args[0][0] - '0')
}

// reportError writes the error to the place that the user who started the container reads. crun
// gives its hooks no standard error, and reports only that a hook failed; so the error also
// goes to crun's own standard error and log.
func reportError(wrong error) {
	fmt.Fprintln(os.Stderr, "berth-hook:", wrong)
	if !isNull(os.Stderr) {
		return
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", os.Getppid()))
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	// crun runs as a copy of itself, so its executable has no name.
	if err != nil || !strings.Contains(filepath.Base(args[0]), "crun") {
		return
	}
	// The log gets more lines after this one; podman shows a single line only, and if there
	// are two, the runtime's output.
	_ = wrapper.Log(args[0], args[1:], "berth-hook", wrong)
	if stderr, err := stderrOf(os.Getppid()); err == nil {
		fmt.Fprintln(stderr, "berth-hook:", wrong)
		stderr.Close()
	}
}

// stderrOf returns the standard error of another process: the same open file, so that
// neither overwrites the other's output.
func stderrOf(pid int) (*os.File, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(pidfd)
	fd, err := unix.PidfdGetfd(pidfd, int(os.Stderr.Fd()), 0)
	return os.NewFile(uintptr(fd), "stderr"), err
}

// isNull reports whether a file is /dev/null: the device 1:3 (Linux,
// Documentation/admin-guide/devices.txt).
func isNull(f *os.File) bool {
	var stat unix.Stat_t
	return unix.Fstat(int(f.Fd()), &stat) == nil && stat.Mode&unix.S_IFMT == unix.S_IFCHR && stat.Rdev == unix.Mkdev(1, 3)
}
