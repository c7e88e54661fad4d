package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const unit = "berthd.service"

// boot: the machine itself works.
func boot(m *machine) {
	m.logf("%s", strings.SplitN(m.run("systemctl", "--version"), "\n", 2)[0])
	if failed := m.run("systemctl", "--failed", "--plain", "--no-legend"); failed != "" {
		m.errorf("units failed before berth came:\n%s", failed)
	}
}

// install: the package starts the agent, which runs without warnings.
func install(m *machine) {
	m.run("dpkg", "-i", "/payload/old.deb")
	m.wantRunning("0")
	if got := strings.TrimSpace(m.run("systemctl", "is-enabled", unit)); got != "enabled" {
		m.errorf("%s is %s, want enabled", unit, got)
	}
	for _, never := range []string{"podman-restart.service", "docker.service", "containerd.service", "crio.service"} {
		if strings.Contains(m.property(unit, "After"), never) {
			m.errorf("%s is ordered after %s", unit, never)
		}
	}
	m.run("berth", "agent", "status")
	m.run("systemd-analyze", "verify", "--man=no", "berthd.service", "berthd-metrics.socket", "berth-nri.service")
}

// wantRunning checks that the agent runs, that systemd restarted it so many times, and
// that it has logged no warning.
func (m *machine) wantRunning(restarts string) {
	m.wantProperty(unit, "ActiveState", "active")
	m.wantProperty(unit, "NRestarts", restarts)
	log := m.run("journalctl", "--quiet", "-b", "-o", "cat", "-u", unit)
	for line := range strings.Lines(log) {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "berthd:") {
			m.errorf("the agent complains: %s", line)
		}
	}
}

// sandbox: the agent can write to its own directories, and to no others.
func sandbox(m *machine) {
	pid := m.property(unit, "MainPID")
	inside := func(args ...string) error {
		return exec.Command("nsenter", append([]string{"-m", "-t", pid}, args...)...).Run()
	}
	for _, path := range []string{"/run/berth", "/var/log/berth", "/sys/fs/bpf/berth"} {
		dir := filepath.Join(path, "probe")
		if err := inside("mkdir", dir); err != nil {
			m.errorf("the agent cannot write to %s: %v", path, err)
		}
		_ = os.Remove(dir) // after an error it does not exist
	}
	for _, path := range []string{
		"/", "/etc", "/usr", "/var", "/var/log", "/run", "/home", "/root", "/sys/fs/cgroup", "/sys/kernel",
		"/sys/class/net/lo/mtu", "/proc/sys/kernel/panic", "/proc/sys/net/ipv4/ip_forward", "/proc/sysrq-trigger",
		"/proc/self/oom_score_adj",
	} {
		if inside("test", "-w", path) == nil {
			m.errorf("the agent can write to %s", path)
		}
	}
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
	for _, want := range []string{"CapEff:\t000000c000001800\n", "CapBnd:\t000000c000001800\n", "NoNewPrivs:\t1\n", "Seccomp:\t2\n"} {
		if !strings.Contains(string(status), want) {
			m.errorf("no %q in the agent's status", want)
		}
	}
	if m.failed {
		table, err := os.ReadFile("/proc/" + pid + "/mountinfo")
		m.logf("%s%v", table, err)
	}
	score := strings.Split(strings.TrimSpace(m.run("systemd-analyze", "security", "--threshold=25", unit)), "\n")
	m.logf("%s", score[len(score)-1])
}
