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
)

// What is measured.
const (
	attach = iota
	detachAlive
	detachDead
	measured
)

// warmUp are rounds that do not count: files get into memory, tables grow.
const warmUp = 3

// settle is how long the kernel is given to take down a namespace that died,
// which it does in the background and which would slow down what comes next.
const settle = 50 * time.Millisecond

// samples are the times of each peer and each thing measured.
type samples map[string]*[measured][]time.Duration

// measure lets the peers take turns.
func measure(peers []peer, rounds int) (samples, error) {
	times := make(samples)
	for _, p := range peers {
		times[p.name] = new([measured][]time.Duration)
	}
	for round := range rounds + warmUp {
		for i := range peers {
			p := peers[(i+round)%len(peers)]
			for _, dead := range []bool{false, true} {
				into := times[p.name]
				if round < warmUp {
					into = new([measured][]time.Duration)
				}
				if err := life(p, fmt.Sprintf("c%d-%t", round, dead), dead, into); err != nil {
					return nil, fmt.Errorf("%s: %w", p.name, err)
				}
			}
		}
	}
	return times, nil
}

// life is one container: a process in a network namespace of its own.
func life(p peer, id string, dead bool, into *[measured][]time.Duration) error {
	container := exec.Command("sleep", "600")
	container.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	if err := container.Start(); err != nil {
		return err
	}
	pid := container.Process.Pid
	end := func() {
		_ = container.Process.Kill()
		_ = container.Wait() // "signal: killed"
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
	err := timed(p.detach(id, pid), &into[detachAlive])
	if out, lookErr := linksOf(pid); err == nil && (lookErr != nil || strings.Contains(out, "net1")) {
		err = fmt.Errorf("detached, and the link is still there: %v %s", lookErr, out)
	}
	end()
	return err
}

func linksOf(pid int) (string, error) {
	out, err := exec.Command("nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", pid), "ip", "-o", "link").CombinedOutput()
	return string(out), err
}

// timed runs a command and adds how long it took, from fork to exit.
func timed(c command, into *[]time.Duration) error {
	stdin, err := os.CreateTemp("", "stdin")
	if err != nil {
		return err
	}
	defer stdin.Close()
	defer os.Remove(stdin.Name())
	if _, err := io.WriteString(stdin, c.stdin); err != nil {
		return err
	}
	if _, err := stdin.Seek(0, io.SeekStart); err != nil {
		return err
	}
	var out bytes.Buffer
	cmd := exec.Command(c.path, c.args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.env, stdin, &out, &out
	begin := time.Now()
	err = cmd.Run()
	*into = append(*into, time.Since(begin))
	if err != nil {
		return fmt.Errorf("%s %q: %w: %s", c.path, c.args, err, out.String())
	}
	return nil
}
