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

// What is measured.
const (
	attach = iota
	detachAlive
	detachDead
	things
)

// warmUp are rounds that do not count: files get into memory, tables grow.
const warmUp = 3

// settle is how long the kernel is given to take down a namespace that died,
// which it does in the background and which would slow down what comes next.
const settle = 50 * time.Millisecond

// samples are the times of each peer and each thing measured.
type samples map[string]*[things][]time.Duration

// measure lets the peers take turns.
func measure(peers []peer, rounds int, step func(done, of int)) (samples, error) {
	times := make(samples)
	for _, p := range peers {
		times[p.name] = new([things][]time.Duration)
	}
	for round := range rounds + warmUp {
		step(round, rounds+warmUp)
		for i := range peers {
			p := peers[(i+round)%len(peers)]
			if p.every > 1 && round%p.every != 0 {
				continue
			}
			for _, dead := range []bool{false, true} {
				into := times[p.name]
				if round < warmUp {
					into = new([things][]time.Duration)
				}
				if err := life(p, fmt.Sprintf("c%d-%t", round, dead), dead, into); err != nil {
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

// life is one container's, from its start to its end.
func life(p peer, id string, dead bool, into *[things][]time.Duration) error {
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

// timed runs a command and adds how long it took, from fork to exit.
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

// run runs a command that is not timed.
func (c command) run() error { return timed(c, new([]time.Duration)) }

// prepare makes ready to start: with standard input in a file, so that nothing
// of this process is needed while the command runs.
func (c command) prepare() (*exec.Cmd, *bytes.Buffer, error) {
	stdin, err := memory("stdin", c.stdin)
	if err != nil {
		return nil, nil, err
	}
	cmd, out := exec.Command(c.path, c.args...), new(bytes.Buffer)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, stdin, out, out
	return cmd, out, nil
}

// memory is a file of nowhere, which is closed when nobody uses it any more.
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
