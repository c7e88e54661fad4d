package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const unit = "berthd.service"

// boot: the machine itself works.
func boot(m *machine) {
	m.logf("%s", strings.SplitN(m.runCommand("systemctl", "--version"), "\n", 2)[0])
	if failed := m.runCommand("systemctl", "--failed", "--plain", "--no-legend"); failed != "" {
		m.errorf("units failed before berth came:\n%s", failed)
	}
}

// install: the package starts the agent, which runs without warnings.
func install(m *machine) {
	m.runCommand("dpkg", "-i", "/payload/old.deb")
	m.wantRunning("0")
	if got := strings.TrimSpace(m.runCommand("systemctl", "is-enabled", unit)); got != "enabled" {
		m.errorf("%s is %s, want enabled", unit, got)
	}
	for _, never := range []string{"podman-restart.service", "docker.service", "containerd.service", "crio.service"} {
		if strings.Contains(m.property(unit, "After"), never) {
			m.errorf("%s is ordered after %s", unit, never)
		}
	}
	m.runCommand("berth", "agent", "status")
	m.runCommand("systemd-analyze", "verify", "--man=no", "berthd.service", "berthd-metrics.socket", "berth-nri.service",
		"berth-dhcp.path", "berth-dhcp.service", "berth-heal.path", "berth-heal.service",
		"berth-hook.socket", "berth-hook.service",
		"berth-web.socket", "berth-web.service", "berth-check.timer", "berth-check.service", "berth-docker.socket",
		"berth-docker.service")
}

// wantRunning checks that the agent runs, that systemd restarted it so many times, and
// that it has logged no warning.
func (m *machine) wantRunning(restarts string) {
	m.wantProperty(unit, "ActiveState", "active")
	m.wantProperty(unit, "NRestarts", restarts)
	log := m.runCommand("journalctl", "--quiet", "-b", "-o", "cat", "-u", unit)
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") ||
			strings.HasPrefix(line, "berthd:") {
			m.errorf("the agent complains: %s", line)
		}
	}
}

// inside runs a program in the mount namespace of a process.
func inside(pid string, args ...string) error {
	return exec.Command("nsenter", append([]string{"-m", "-t", pid}, args...)...).Run()
}

// wantWritable checks that a unit's main process can write to directories of its own, and to no
// other path.
func (m *machine) wantWritable(unit string, own, others []string) {
	pid := m.property(unit, "MainPID")
	for _, path := range own {
		dir := filepath.Join(path, "probe")
		if err := inside(pid, "mkdir", dir); err != nil {
			m.errorf("%s cannot write to %s: %v", unit, path, err)
		}
		_ = os.Remove(dir) // after an error it does not exist
	}
	for _, path := range others {
		if inside(pid, "test", "-w", path) == nil {
			m.errorf("%s can write to %s", unit, path)
		}
	}
	if m.failed {
		table, err := os.ReadFile("/proc/" + pid + "/mountinfo")
		m.logf("%s%v", table, err)
	}
}

// system are paths that no service of berth writes to.
var system = []string{
	"/", "/etc", "/usr", "/var", "/var/log", "/run", "/home", "/root", "/sys/fs/cgroup", "/sys/kernel",
	"/sys/class/net/lo/mtu",
}

// sandbox: the agent can write to its own directories, and to no others.
func sandbox(m *machine) {
	pid := m.property(unit, "MainPID")
	m.wantWritable(unit, []string{"/run/berth", "/var/lib/berth", "/var/log/berth", "/sys/fs/bpf/berth"},
		append(slices.Clip(system),
			"/proc/sys/kernel/panic", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger", "/proc/self/oom_score_adj"))
	for _, path := range []string{"/proc/kallsyms", "/proc/kcore", "/dev/vda"} {
		if out, err := exec.Command("nsenter", "-m", "-t", pid, "head", "-c1", path).Output(); err == nil && len(out) > 0 {
			m.errorf("the agent can read %s", path)
		}
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		m.fatalf("%v", err)
	}
	// CAP_NET_BROADCAST (11), CAP_NET_ADMIN (12), CAP_PERFMON (38), CAP_BPF (39).
	for _, want := range []string{"CapEff:\t000000c000001800\n", "CapBnd:\t000000c000001800\n", "NoNewPrivs:\t1\n",
		"Seccomp:\t2\n"} {
		if !strings.Contains(string(status), want) {
			m.errorf("no %q in the agent's status", want)
		}
	}
	score := strings.Split(strings.TrimSpace(m.runCommand("systemd-analyze", "security", "--threshold=25", unit)), "\n")
	m.logf("%s", score[len(score)-1])
}

// plugin: NRI's plugin waits for a runtime, can write to the state and to BPF's file system
// alone, and sees network namespaces that are made later, as those of pods are.
func plugin(m *machine) {
	const unit = "berth-nri.service"
	m.runCommand("systemctl", "start", unit)
	m.wantWritable(unit, []string{"/run/berth", "/sys/fs/bpf/berth"}, system)
	m.wantEntering(unit)
	m.wantProperty(unit, "NRestarts", "0")
	m.runCommand("systemctl", "stop", unit)
	m.wantProperty(unit, "Result", "success")
}

// wantEntering checks that a unit's main process can enter a network namespace that is made
// after its start.
func (m *machine) wantEntering(unit string) {
	m.runCommand("ip", "netns", "add", "pod")
	if err := inside(m.property(unit, "MainPID"), "nsenter", "--net=/run/netns/pod", "true"); err != nil {
		m.errorf("%s cannot enter a network namespace that was made after its start: %v", unit, err)
	}
	m.runCommand("ip", "netns", "delete", "pod")
}

// driver: docker's first call starts docker's driver, which can write to the state, to its
// networks and to BPF's file system alone, and sees network namespaces that are made later.
func driver(m *machine) {
	const socket, unit, path = "berth-docker.socket", "berth-docker.service", "/run/docker/plugins/berth.sock"
	m.runCommand("systemctl", "start", socket)
	m.wantProperty(unit, "ActiveState", "inactive")
	var d net.Dialer
	client := http.Client{Timeout: time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) },
	}}
	defer client.CloseIdleConnections()
	answer, err := client.Post("http://docker/Plugin.Activate", "", nil)
	if err != nil {
		m.fatalf("call the driver: %v", err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if want := `{"Implements":["NetworkDriver","IpamDriver"]}`; err != nil || strings.TrimSpace(string(text)) != want {
		m.errorf("the driver answers %q, %v, want %s", text, err, want)
	}
	m.wantProperty(unit, "ActiveState", "active")
	m.wantWritable(unit, []string{"/run/berth", "/var/lib/berth", "/sys/fs/bpf/berth"}, system)
	m.wantEntering(unit)
	m.wantProperty(unit, "NRestarts", "0")
	m.runCommand("systemctl", "stop", socket, unit)
	m.wantProperty(unit, "Result", "success")
	if _, err := os.Stat(path); err == nil {
		m.errorf("%s is left", path)
	}
}
