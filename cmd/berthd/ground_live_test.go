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

// ends waits for an agent to end by itself with an exit code.
func (a *agent) ends(code int) {
	a.t.Helper()
	select {
	case <-a.exit:
		if got := a.cmd.ProcessState.ExitCode(); got != code {
			a.t.Errorf("exit code %d, want %d", got, code)
		}
	case <-time.After(30 * time.Second):
		a.t.Fatal("berthd still runs after 30 s")
	}
}

// TestEndsWithoutItsState removes the state directory: the agent reports it and ends, and
// removes nothing of its successor's.
func TestEndsWithoutItsState(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.network("lan", lanFile)
	a := l.start()
	l.parentIs(parent, specs.ParentCounting)
	aside := l.state + ".aside"
	check(t, os.Rename(l.state, aside)) // at once, and as silently as a removed socket
	next := l.command("--metrics", "", "--bpffs", l.bpffs+"-other")
	t.Cleanup(func() { os.RemoveAll(l.bpffs + "-other") })
	other := l.launch(next)
	l.network("more", strings.Replace(lanFile, parent, "eth9", 1)) // wakes the first
	a.ends(1)
	if !strings.Contains(a.log.String(), "was removed or replaced under the running agent") {
		t.Error("it does not say why")
	}
	if s := l.status(); s.PID != other.cmd.Process.Pid {
		t.Errorf("agent %d answers, want the other, %d", s.PID, other.cmd.Process.Pid)
	}
}

// TestUnmountedBPFFS unmounts the file system and mounts it again.
func TestUnmountedBPFFS(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.bpffs = filepath.Join(filepath.Dir(l.state), "bpf")
	check(t, os.Mkdir(l.bpffs, 0o700))
	check(t, unix.Mount("bpf", l.bpffs, "bpf", 0, ""))
	l.network("lan", lanFile)
	l.start()
	l.parentIs(parent, specs.ParentCounting)
	check(t, unix.Unmount(l.bpffs, unix.MNT_DETACH))
	l.network("more", strings.Replace(lanFile, parent, "eth9", 1)) // wakes it
	testnet.Eventually(t, "a problem that says what helps", func() bool {
		return strings.Contains(strings.Join(l.status().Problems, "\n"), "not on a BPF file system: \"mount -t bpf")
	})
	check(t, unix.Mount("bpf", l.bpffs, "bpf", 0, ""))
	t.Cleanup(func() { check(t, unix.Unmount(l.bpffs, unix.MNT_DETACH)) })
	l.network("even-more", lanFile)
	l.parentIs(parent, specs.ParentCounting)
	testnet.Eventually(t, "no such problem", func() bool { return !strings.Contains(strings.Join(l.status().Problems, ""), "BPF") })
	web := l.attach("web", 1)
	web.send(3)
	web.sent(3)
}

// TestPinsAgain removes the pins: counting goes on, with the earlier counts, and hooks find
// the maps.
func TestPinsAgain(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(l *lab) error{
		"all":           func(l *lab) error { return os.RemoveAll(l.bpffs) },
		"what is in it": func(l *lab) error { return os.RemoveAll(filepath.Join(l.bpffs, "v1")) },
		"maps":          func(l *lab) error { return os.Remove(filepath.Join(l.bpffs, "v1", "endpoints")) },
		"links":         func(l *lab) error { return os.RemoveAll(filepath.Join(l.bpffs, "v1", "links")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLab(t)
			l.network("lan", lanFile)
			a := l.start()
			l.parentIs(parent, specs.ParentCounting)
			web := l.attach("web", 1)
			web.send(3)
			before := l.status().LastReconciled
			check(t, remove(l))
			l.network("more", strings.Replace(lanFile, parent, "eth9", 1)) // wakes it
			testnet.Eventually(t, "a look after it", func() bool { return l.status().LastReconciled.After(before) })
			l.parentIs(parent, specs.ParentCounting)
			l.parentIs("eth9", specs.ParentWaiting)
			web.send(4)
			web.sent(7)
			db := l.attach("db", 2)
			db.send(2)
			db.sent(2)
			a.stop(unix.SIGTERM)
			l.start()
			web.sent(7)
		})
	}
}
