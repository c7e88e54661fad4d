package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/agent/client"
)

const (
	hookSocket  = "berth-hook.socket"
	hookService = "berth-hook.service"
	hookProgram = "/usr/bin/berth-hook"
)

// resident: the package opens the socket of the resident hook. The first client starts the service, which
// can write to the state and to BPF's file system alone, and sees network namespaces that are made later.
func resident(m *machine) {
	m.wantProperty(hookSocket, "ActiveState", "active")
	got := m.runCommand("stat", "-c", "%a %U", "/run/berth/hook.sock", "/run/berth")
	if got != "600 root\n711 root\n" {
		m.errorf("the socket and its directory are %q, want 600 and 711 of root", got)
	}
	m.startResident()
	m.wantWritable(hookService, []string{"/run/berth", "/sys/fs/bpf/berth"},
		append(slices.Clip(system), "/tmp", "/var/lib/berth"))
	m.wantEntering(hookService)
	// CAP_DAC_READ_SEARCH (2), CAP_NET_ADMIN (12), CAP_NET_RAW (13), CAP_SYS_PTRACE (19), CAP_SYS_ADMIN (21).
	status := m.runCommand("cat", "/proc/"+m.property(hookService, "MainPID")+"/status")
	for _, want := range []string{"CapEff:\t0000000000283004\n", "CapBnd:\t0000000000283004\n", "NoNewPrivs:\t1\n",
		"Seccomp:\t2\n"} {
		if !strings.Contains(status, want) {
			m.errorf("no %q in the status of the resident hook", want)
		}
	}
	m.runCommand("systemctl", "stop", hookService) // the socket stays, and starts it again
	m.wantProperty(hookService, "Result", "success")
	m.startResident()
}

// startResident runs clients until the service is active. The service refuses their requests.
func (m *machine) startResident() {
	m.eventually(hookService+" is active", func() bool {
		_, err := output("sh", "-c", "echo '{}' | /usr/bin/berth-hook-client createRuntime")
		if err == nil {
			m.fatalf("the hook accepts an empty state")
		}
		return m.property(hookService, "ActiveState") == "active"
	})
}

// served: podman's containers are attached and released by the service. If it is killed or stopped, they
// start nevertheless.
func served(m *machine) {
	m.attachServed("served")
	kills := m.whileKilled(func() {
		for i := range 5 {
			name := fmt.Sprint("killed", i)
			m.startContainer(name)
			m.ping(name, 1)
			m.runCommand("podman", "rm", "-f", "-t", "0", name)
		}
	})
	m.logf("the service was killed %d times while 5 containers started and ended", kills)
	if kills == 0 {
		m.errorf("the service was never killed")
	}
	m.runCommand("systemctl", "stop", hookSocket, hookService)
	if _, err := os.Lstat("/run/berth/hook.sock"); err == nil {
		m.errorf("the stopped socket is left")
	}
	m.startContainer("alone")
	m.ping("alone", 1)
	m.runCommand("podman", "rm", "-f", "-t", "0", "alone")
	m.runCommand("systemctl", "start", hookSocket)
	m.attachServed("served")
	m.eventually("only web is attached", func() bool {
		all, err := client.New("/run/berth").Endpoints(context.Background(), false)
		return err == nil && len(all) == 1 && all[0].Name == "web"
	})
	m.logf("%s", m.runCommand("berth", "check", "--attached"))
	if shown := m.runCommand("berth", "doctor", "podman"); !strings.Contains(shown, "passes containers to the resident") {
		m.errorf("berth doctor does not name the resident hook: %s", shown)
	}
	score := m.runCommand("systemd-analyze", "security", "--threshold=60", hookService)
	m.logf("%s", score[strings.LastIndex(strings.TrimSpace(score), "\n")+1:])
}

// attachServed attaches and releases a container while nothing can execute berth-hook, so that only the
// service can have done it.
func (m *machine) attachServed(name string) {
	m.startResident()
	m.runCommand("chmod", "0644", hookProgram)
	defer m.runCommand("chmod", "0755", hookProgram)
	m.startContainer(name)
	m.ping(name, 1)
	m.runCommand("podman", "rm", "-f", "-t", "0", name)
}

// whileKilled calls a function, and meanwhile kills the service each time that it runs. It returns the
// number of kills.
func (m *machine) whileKilled(do func()) (kills int) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
			}
			text, err := output("systemctl", "show", "--value", "-p", "MainPID", hookService)
			pid, parseErr := strconv.Atoi(strings.TrimSpace(text))
			if err == nil && parseErr == nil && pid > 0 && unix.Kill(pid, unix.SIGKILL) == nil {
				kills++
			}
		}
	}()
	defer func() {
		close(done)
		<-ended
	}()
	do()
	return kills
}
