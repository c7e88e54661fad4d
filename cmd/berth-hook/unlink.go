package main

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"berth/hook"
)

// unlinkStage is the argument of the process that a poststop leaves behind, for the
// milliseconds that the kernel takes to delete a link: "unlink NSID NAME". It is not part
// of the contract.
const unlinkStage = "unlink"

// startUnlink starts such a process. It has no standard streams, so that a reader of the
// hook's streams does not wait for it, and a session of its own, so that no signal to the
// hook's group reaches it.
func startUnlink(nsid int, name string) error {
	args := []string{"berth-hook", unlinkStage, strconv.Itoa(nsid), name}
	_, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{
		Dir: "/", Env: []string{}, Files: []uintptr{}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	return os.NewSyscallError("fork", err)
}

// runUnlink is the body of that process.
func runUnlink(args []string) int {
	if len(args) != 2 {
		fmt.Fprintf(os.Stderr, "berth-hook: %s %q: want the ID of a namespace and the name of an interface\n",
			unlinkStage, args)
		return 2
	}
	nsid, err := strconv.Atoi(args[0])
	if err == nil {
		err = hook.Unlink(nsid, args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "berth-hook:", err)
		return 1
	}
	return 0
}
