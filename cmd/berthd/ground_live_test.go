package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"berth/internal/testnet"
	"berth/specs"

	"golang.org/x/sys/unix"
)

// waitExit waits for an agent to end by itself with an exit code.
func (a *agent) waitExit(code int) {
	a.t.Helper()
	select {
	case <-a.exit:
		if got := a.cmd.ProcessState.ExitCode(); got != code {
			a.t.Errorf("exit code %d, want %d", got, code)
		}
	case <-time.After(2 * time.Minute):
		a.t.Fatal("berthd still runs after 2 minutes")
	}
}

// TestEndsWithoutItsState removes the state directory: the agent reports it and ends, and
// removes nothing of its successor's.
func TestEndsWithoutItsState(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.writeNetwork("lan", lanFile)
	a := l.startAgent()
	l.parentIs(parent, specs.ParentCounting)
	aside := l.state + ".aside"
	mustSucceed(t, os.Rename(l.state, aside)) // at once, and as silently as a removed socket
	next := l.agentCommand("--metrics", "", "--bpffs", l.bpffs+"-other")
	t.Cleanup(func() { os.RemoveAll(l.bpffs + "-other") })
	other := l.launchReady(next)
	l.writeNetwork("more", strings.Replace(lanFile, parent, "eth9", 1)) // wakes the first
	a.waitExit(1)
	if !strings.Contains(a.log.String(), "was removed or replaced while the agent was running") {
		t.Error("it does not say why")
	}
	if s := l.agentStatus(); s.PID != other.cmd.Process.Pid {
		t.Errorf("agent %d answers, want the other, %d", s.PID, other.cmd.Process.Pid)
	}
}

// TestUnmountedBPFFS unmounts the file system and mounts it again.
func TestUnmountedBPFFS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bpffs = filepath.Join(filepath.Dir(l.state), "bpf")
	mustSucceed(t, os.Mkdir(l.bpffs, 0o700))
	mustSucceed(t, unix.Mount("bpf", l.bpffs, "bpf", 0, ""))
	l.writeNetwork("lan", lanFile)
	l.startAgent()
	l.parentIs(parent, specs.ParentCounting)
	mustSucceed(t, unix.Unmount(l.bpffs, unix.MNT_DETACH))
	l.writeNetwork("more", strings.Replace(lanFile, parent, "eth9", 1)) // wakes it
	testnet.Eventually(t, "a problem that says what helps", func() bool {
		return strings.Contains(strings.Join(l.agentStatus().Problems, "\n"), "not on a BPF file system; mount one: mount -t bpf")
	})
	mustSucceed(t, unix.Mount("bpf", l.bpffs, "bpf", 0, ""))
	t.Cleanup(func() { mustSucceed(t, unix.Unmount(l.bpffs, unix.MNT_DETACH)) })
	l.writeNetwork("even-more", lanFile)
	l.parentIs(parent, specs.ParentCounting)
	testnet.Eventually(t, "no such problem", func() bool { return !strings.Contains(strings.Join(l.agentStatus().Problems, ""), "BPF") })
	web := l.attachContainer("web", 1)
	web.sendFrames(3)
	web.waitSent(3)
}

// removePins removes the pins in a part of the directory. The agent may pin some again meanwhile.
func (l *lab) removePins(part string) {
	l.t.Helper()
	testnet.Eventually(l.t, "pins are removed", func() bool { return os.RemoveAll(filepath.Join(l.bpffs, part)) == nil })
}

// TestRemovedPinsArePinnedAgain removes the pins: counting goes on, with the earlier counts, and hooks find
// the maps.
func TestRemovedPinsArePinnedAgain(t *testing.T) {
	t.Parallel()
	for name, pins := range map[string]string{"all": "", "what is in it": "v1", "maps": "v1/endpoints", "links": "v1/links"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.writeNetwork("lan", lanFile)
			a := l.startAgent()
			l.parentIs(parent, specs.ParentCounting)
			web := l.attachContainer("web", 1)
			web.sendFrames(3)
			before := l.agentStatus().LastReconciled
			l.removePins(pins)
			l.writeNetwork("more", strings.Replace(lanFile, parent, "eth9", 1)) // wakes it
			testnet.Eventually(t, "a look after it", func() bool { return l.agentStatus().LastReconciled.After(before) })
			l.parentIs(parent, specs.ParentCounting)
			l.parentIs("eth9", specs.ParentWaiting)
			web.sendFrames(4)
			web.waitSent(7)
			db := l.attachContainer("db", 2)
			db.sendFrames(2)
			db.waitSent(2)
			a.stopAgent(unix.SIGTERM)
			l.startAgent()
			web.waitSent(7)
		})
	}
}
