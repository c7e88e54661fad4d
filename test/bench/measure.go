package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/lab"
)

// The measured steps.
const (
	attach = iota
	detachAlive
	detachDead
	things
)

// warmUp is the number of uncounted rounds, in which caches fill and tables grow.
const warmUp = 3

// settle is the time for the kernel to remove a dead namespace, which it does in the
// background and which would slow down the next measurement.
const settle = 50 * time.Millisecond

// samples are the times by peer and measured step.
type samples map[string]*[things]durations

type durations = []time.Duration

// measure measures the peers in turn.
func measure(peers []peer, rounds int, step func(done, of int)) (samples, error) {
	times := make(samples)
	for _, p := range peers {
		times[p.name] = new([things][]time.Duration)
	}
	for round := range rounds + warmUp {
		step(round, rounds+warmUp)
		for i := range peers {
			p := peers[(i+round)%len(peers)]
			for _, dead := range []bool{false, true} {
				into := times[p.name]
				if round < warmUp {
					into = new([things][]time.Duration)
				}
				if err := measureLife(p, fmt.Sprintf("c%d-%t", round, dead), dead, into); err != nil {
					return nil, fmt.Errorf("%s: %w", p.name, err)
				}
			}
		}
	}
	return times, nil
}

// A container is a process in a network namespace of its own.
type container struct {
	cmd *exec.Cmd
	pid int
}

func newContainer() (*container, error) {
	cmd := exec.Command("sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &container{cmd, cmd.Process.Pid}, nil
}

// end kills the container, and its namespace with it.
func (c *container) end() {
	_ = c.cmd.Process.Kill()
	_ = c.cmd.Wait() // "signal: killed"
}

func (c *container) path() string { return fmt.Sprintf("/proc/%d/ns/net", c.pid) }

// ip runs ip in the container.
func (c *container) ip(args ...string) (string, error) {
	return lab.Output(exec.Command("nsenter", append([]string{"--net=" + c.path(), "ip"}, args...)...))
}

// measureLife measures one container from its start to its end.
func measureLife(p peer, id string, dead bool, into *[things][]time.Duration) error {
	c, err := newContainer()
	if err != nil {
		return err
	}
	pid := c.pid
	end := func() {
		c.end()
		<-time.After(settle)
	}
	if err := timed(p.attach(id, pid), &into[attach]); err != nil {
		end()
		return err
	}
	if dead {
		end()
		return timed(p.detach(id, 0), &into[detachDead])
	}
	err = timed(p.detach(id, pid), &into[detachAlive])
	if out, lookErr := c.ip("-o", "link"); err == nil && (lookErr != nil || strings.Contains(out, "net1")) {
		err = fmt.Errorf("detached, and the link is still there: %v %s", lookErr, out)
	}
	end()
	return err
}

// timed runs a command and adds its time, from fork to exit.
func timed(c command, into *[]time.Duration) error {
	cmd, out, err := c.prepare()
	if err != nil {
		return err
	}
	begin := time.Now()
	err = cmd.Run()
	*into = append(*into, time.Since(begin))
	return c.explain(err, out)
}

// runUntimed runs a command without measuring it.
func (c command) runUntimed() error { return timed(c, new([]time.Duration)) }

// prepare returns the command ready to start. Its standard input is a file, so that this
// process does no work while the command runs.
func (c command) prepare() (*exec.Cmd, *bytes.Buffer, error) {
	stdin, err := memory("stdin", c.stdin)
	if err != nil {
		return nil, nil, err
	}
	cmd, out := exec.Command(c.path, c.args...), new(bytes.Buffer)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, stdin, out, out
	return cmd, out, nil
}

// memory returns an anonymous file in memory, which ends with its last user.
func memory(name, content string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteString(content); err != nil {
		return nil, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return f, err
}

func (c command) explain(err error, out *bytes.Buffer) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w: %s", c.path, c.args, err, out.String())
}
