package main

import (
	"os/exec"
	"strconv"

	"golang.org/x/sys/unix"
)

// killed: systemd restarts a killed agent, and no count is lost.
func killed(m *machine) { m.endAgent(unix.SIGKILL) }

// frozen: systemd's watchdog restarts an agent that does not respond, and no count is
// lost.
func frozen(m *machine) { m.endAgent(unix.SIGSTOP) }

func (m *machine) endAgent(sig unix.Signal) {
	before, err := strconv.Atoi(m.property(unit, "NRestarts"))
	if err != nil {
		m.fatalf("%v", err)
	}
	pid, err := strconv.Atoi(m.property(unit, "MainPID"))
	if err == nil {
		err = unix.Kill(pid, sig)
	}
	if err != nil {
		m.fatalf("end the agent: %v", err)
	}
	counts := m.hasPodman()
	if counts {
		m.ping("web", 3)
	}
	want := strconv.Itoa(before + 1)
	m.eventually("the agent was restarted", func() bool {
		return m.property(unit, "NRestarts") == want && m.property(unit, "ActiveState") == "active"
	})
	m.wantRunning(want)
	if counts {
		m.exact("web")
	}
}

func (m *machine) hasPodman() bool {
	_, err := exec.LookPath("podman")
	return err == nil
}
