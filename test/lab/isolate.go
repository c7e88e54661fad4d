package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"berth/test/cgroup"
)

// stageVar has the stage of the process: unset in the process that the user started,
// "init" in the first process of the isolated space, and "main" in the one that does the
// work.
const stageVar = "BERTH_LAB_STAGE"

// Dir is a memory file system that only the isolated process sees. TMPDIR is below it.
const Dir = "/run/lab"

// Isolate starts the program again, with the same arguments, in mount, network, PID and
// cgroup namespaces of its own, and returns in that copy only. The calling process waits
// for the copy and exits with its status. It needs root. Interrupt and SIGTERM are
// forwarded to the copy. If the first process ends, the kernel ends all processes that
// the copy started.
func Isolate() {
	switch os.Getenv(stageVar) {
	case "":
		exit(outer())
	case "init":
		exit(initial())
	}
	if err := os.Unsetenv(stageVar); err != nil {
		exit(1, err)
	}
}

func exit(code int, err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
	}
	os.Exit(code)
}

// outer is the process that the user started.
func outer() (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("making network namespaces requires root")
	}
	group, err := cgroup.New("berth-lab-")
	if err != nil {
		return 1, err
	}
	defer group.Remove()
	attr := &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWIPC,
		Pdeathsig:  unix.SIGKILL,
	}
	group.Assign(attr)
	return superviseStage(stage("init", attr))
}

// initial is process 1 of the isolated space: it mounts the file systems, starts the main
// process, and reaps orphans.
func initial() (int, error) {
	if err := layout(); err != nil {
		return 1, err
	}
	return superviseStage(stage("main", &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}))
}

func stage(name string, attr *syscall.SysProcAttr) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), stageVar+"="+name)
	if name == "main" {
		cmd.Env = append(cmd.Env, "TMPDIR="+Dir+"/tmp")
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	return cmd
}

// superviseStage starts a stage, forwards signals, and reaps every process until the stage
// has ended. A terminal sends its interrupt to all stages itself; a second one is
// harmless.
func superviseStage(cmd *exec.Cmd) (int, error) {
	runtime.LockOSThread() // the death signal is the starting thread's
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 1, err
	}
	go func() {
		for range signals {
			_ = cmd.Process.Signal(unix.SIGTERM) // it may have ended
		}
	}()
	for {
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, 0, nil)
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return 1, fmt.Errorf("wait for the isolated process: %w", err)
		case err != nil || pid != cmd.Process.Pid:
			continue
		case status.Signaled():
			return 128 + int(status.Signal()), nil
		}
		return status.ExitStatus(), nil
	}
}
