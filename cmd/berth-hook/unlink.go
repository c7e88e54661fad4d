package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"berth/hook"
)

// unlinkStage is the argument of the process that a poststop leaves behind,
// for the milliseconds that the kernel takes to tidy up a link:
// "unlink NSID INDEX ALIAS". It is no part of the contract.
const unlinkStage = "unlink"

// startUnlink starts such a process. It has no standard streams, so that
// nobody who waits for those of the hook waits for it, and its own session, so
// that no signal to the hook's group meets it.
func startUnlink(nsid, index int, alias string) error {
	args := []string{"berth-hook", unlinkStage, strconv.Itoa(nsid), strconv.Itoa(index), alias}
	_, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return os.NewSyscallError("fork", err)
}

// unlink is that process.
func unlink(args []string) int {
	if len(args) != 3 {
		fmt.Fprintf(os.Stderr, "berth-hook: %s %q: want an id, an index and an alias\n", unlinkStage, args)
		return 2
	}
	nsid, err := strconv.Atoi(args[0])
	index, err2 := strconv.Atoi(args[1])
	if err == nil {
		err = err2
	}
	if err == nil {
		err = hook.Unlink(nsid, index, args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth-hook:", err)
		return 1
	}
	return 0
}
