package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"berth/agent/client"
	"berth/specs"
)

// machine is the view that a step has of the machine.
type machine struct {
	out    io.Writer
	state  *progress
	failed bool
}

// limit is the deadline of a command, and of a condition that a step waits for. Emulated
// processors under load are slow.
const limit = 4 * time.Minute

// abort ends a step. reboot restarts the machine, which continues with the next step.
type (
	abort  struct{}
	reboot struct{}
)

// errorf reports a failure; the step goes on.
func (m *machine) errorf(format string, args ...any) {
	m.failed = true
	m.logf("FAIL: "+format, args...)
}

// fatalf reports a failure and ends the step.
func (m *machine) fatalf(format string, args ...any) {
	m.errorf(format, args...)
	panic(abort{})
}

func (m *machine) logf(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		fmt.Fprintf(m.out, "    %s\n", strings.TrimRight(line, "\n"))
	}
}

// runCommand runs a program, which must succeed, and returns its standard output.
func (m *machine) runCommand(name string, args ...string) string {
	out, err := output(name, args...)
	if err != nil {
		m.fatalf("%v\n%s", err, out)
	}
	return out
}

// output runs a program and returns its standard output. The error quotes its
// standard error.
func output(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "HOME=/root", "DEBIAN_FRONTEND=noninteractive", "SYSTEMD_PAGER=cat")
	cmd.WaitDelay = time.Second // a daemon may keep its output open
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return string(out), fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err,
			strings.TrimSpace(stderr.String()))
	}
	return string(out), nil
}

// eventually waits for a condition.
func (m *machine) eventually(what string, holds func() bool) {
	for end := time.Now().Add(limit); !holds(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			m.fatalf("after %v not yet: %s", limit, what)
		}
	}
}

// property returns a property of a unit.
func (m *machine) property(unit, name string) string {
	return strings.TrimSpace(m.runCommand("systemctl", "show", "--value", "-p", name, unit))
}

func (m *machine) wantProperty(unit, name, want string) {
	if got := m.property(unit, name); got != want {
		m.errorf("%s of %s is %q, want %q", name, unit, got, want)
	}
}

// endpoint returns the agent's view of the only interface of a container, by its name or, of runc,
// its ID.
func (m *machine) endpoint(name string) specs.Endpoint {
	all, err := client.New("/run/berth").Endpoints(context.Background(), false)
	if err != nil {
		m.fatalf("ask the agent: %v", err)
	}
	for _, e := range all {
		if e.Name == name || e.Name == "" && e.ContainerID == name {
			return e
		}
	}
	m.fatalf("the agent has no endpoint %q: %+v", name, all)
	panic(abort{})
}

// progress is the state that a step passes to those after a reboot.
type progress struct {
	Next   int               // index of the next step
	Begun  bool              // the next step has begun
	Failed int               // failed steps so far
	Facts  map[string]string // by name
}

const progressFile = "/var/lib/steps/progress.json"

func loadProgress() (*progress, error) {
	p := &progress{Facts: map[string]string{}}
	text, err := os.ReadFile(progressFile)
	if errors.Is(err, os.ErrNotExist) {
		return p, nil
	}
	if err == nil {
		err = json.Unmarshal(text, p)
	}
	return p, err
}

func (p *progress) save() error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return os.WriteFile(progressFile, text, 0o644)
}
