package tree

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Enter is called at the start of main, or of TestMain. In the first process of a
// sandbox it sets up the root directory, runs the command, and does not return. In
// every other process it does nothing.
func Enter() {
	text := os.Getenv(stageVar)
	if text == "" {
		return
	}
	code, err := firstProcess(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tree:", err)
		code = 125
	}
	os.Exit(code)
}

func firstProcess(text string) (int, error) {
	runtime.LockOSThread() // the cgroup namespace is a thread's, and so is Pdeathsig
	set := new(setup)
	if err := json.Unmarshal([]byte(text), set); err != nil {
		return 0, fmt.Errorf("read %s: %w", stageVar, err)
	}
	if err := set.layout(); err != nil {
		return 0, err
	}
	if set.Dir != "" { // a relative path of a program starts here too
		if err := os.Chdir(set.Dir); err != nil {
			return 0, err
		}
	}
	path, err := lookPath(set.Env, set.Command[0])
	if err != nil {
		return 0, err
	}
	cmd := &exec.Cmd{
		Path: path, Args: set.Command, Env: set.Env, Dir: set.Dir,
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		SysProcAttr: &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL},
	}
	return reap(cmd)
}

// lookPath finds a program on the command's own PATH.
func lookPath(env []string, name string) (string, error) {
	for _, e := range env {
		if len(e) > 5 && e[:5] == "PATH=" {
			if err := os.Setenv("PATH", e[5:]); err != nil {
				return "", err
			}
		}
	}
	return exec.LookPath(name)
}

// reap runs the command, forwards SIGTERM, and waits for every process that becomes
// a child of process 1, until the command has ended.
func reap(cmd *exec.Cmd) (int, error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if s == unix.SIGTERM { // a terminal sends its interrupt to the command too
				_ = cmd.Process.Signal(s) // it may have ended
			}
		}
	}()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, fmt.Errorf("wait for %q: %w", cmd.Args[0], err)
		case pid == cmd.Process.Pid:
			return status(ws), nil
		}
	}
}
