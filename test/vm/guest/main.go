// Command guest is process 1 of a test machine: it mounts the file systems, loads the
// modules, runs the test binaries of its plan one after another and switches the
// machine off.
//
// The output of the tests and the guest's events go to the first serial line. If the
// guest panics, so does the kernel, and the host gets no verdict.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/test/machine/plan"
	"berth/test/results"
)

// serial is the line that the host reads. The kernel's console is on the second.
const serial = "/dev/ttyS0"

func main() {
	line, p, err := prepare()
	if err != nil {
		panic(err)
	}
	g := &guest{line: line, plan: p}
	if err := g.runPlan(); err != nil {
		g.send(plan.Event{What: plan.Broken, Name: err.Error()})
	}
	g.send(plan.Event{What: plan.Done})
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		panic(fmt.Errorf("switch off: %w", err))
	}
}

type guest struct {
	line *os.File
	plan *plan.Plan
}

// prepare mounts file systems and opens the serial line to the host.
func prepare() (*os.File, *plan.Plan, error) {
	if err := mountAll(); err != nil {
		return nil, nil, err
	}
	line, err := openRaw(serial)
	if err != nil {
		return nil, nil, fmt.Errorf("open serial line: %w", err)
	}
	text, err := os.ReadFile(plan.Path)
	if err != nil {
		return nil, nil, err
	}
	p := new(plan.Plan)
	if err := json.Unmarshal(text, p); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", plan.Path, err)
	}
	return line, p, nil
}

func (g *guest) runPlan() error {
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	if err := loadModules(g.plan.Modules); err != nil {
		return err
	}
	// The modules of tunnels create a fallback interface in each new network
	// namespace, which no test needs.
	if err := os.WriteFile("/proc/sys/net/core/fb_tunnels_only_for_init_net", []byte("1"), 0); err != nil {
		return err
	}
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return fmt.Errorf("read time since boot: %w", err)
	}
	g.send(plan.Event{
		What: plan.Booted, Name: string(release[:len(release)-1]),
		Seconds: time.Duration(up.Nano()).Seconds(),
	})
	for _, t := range g.plan.Tests {
		if err := g.runTest(t); err != nil {
			return err
		}
	}
	return nil
}

// runTest runs one test binary. The host judges its exit status; only a binary that
// cannot be started is an error.
func (g *guest) runTest(t plan.Test) error {
	g.send(plan.Event{What: plan.Begin, Name: t.Package})
	start := time.Now()
	exit, ended, err := g.runBinary(t, t.Args)
	if failed, ok := results.Second(exit, ended, g.plan.Again); err == nil && ok {
		g.send(plan.Event{What: plan.Again, Name: t.Package})
		args := slices.Clip(t.Args)
		if failed != "" {
			args = append(args, "-test.run="+failed)
		}
		exit, _, err = g.runBinary(t, args)
	}
	if err != nil {
		return fmt.Errorf("run tests of %s: %w", t.Package, err)
	}
	g.send(plan.Event{What: plan.End, Name: t.Package, Status: exit, Seconds: time.Since(start).Seconds()})
	return nil
}

// runBinary returns the exit status of a test binary and the outcomes of its tests.
func (g *guest) runBinary(t plan.Test, args []string) (exit int, ended []results.Result, err error) {
	out := &output{line: g.line}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir, cmd.Env = t.Dir, g.plan.Env
	cmd.Stdout, cmd.Stderr = out, out
	cmd.WaitDelay = 10 * time.Second // for a child of the test that holds the output open
	err = cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) && !errors.Is(err, exec.ErrWaitDelay) {
		return 0, nil, err
	}
	return status(cmd.ProcessState), out.log.Ended, nil
}

// output sends the output of a test binary to the host, and reads its outcomes.
type output struct {
	line *os.File
	rest []byte // an incomplete line
	log  results.Log
}

func (o *output) Write(p []byte) (int, error) {
	o.rest = append(o.rest, p...)
	for {
		line, rest, ok := bytes.Cut(o.rest, []byte("\n"))
		if !ok {
			return o.line.Write(p)
		}
		o.log.AddLine(string(line))
		o.rest = rest
	}
}

func status(p *os.ProcessState) int {
	if ws := p.Sys().(syscall.WaitStatus); ws.Signaled() {
		return 128 + int(ws.Signal())
	}
	return p.ExitCode()
}

func (g *guest) send(e plan.Event) {
	text, err := e.Line(g.plan.Mark)
	if err == nil {
		_, err = g.line.Write(text)
	}
	if err != nil {
		panic(fmt.Errorf("write an event to the host: %w", err))
	}
}
