package main

import (
	"os"
	"os/exec"
	"strings"
)

// remove: the removal of the package reports the effect on containers. Running
// containers continue, and the engine can start others.
func remove(m *machine) {
	if m.hasPodman() {
		m.removeTooEarly()
	}
	out := m.runCommand("dpkg", "-r", "berth")
	m.logf("%s", out)
	if !strings.Contains(out, "without the interface") {
		m.errorf("the removal does not say that containers start without their interfaces")
	}
	for _, path := range []string{"/sys/fs/bpf/berth", "/usr/bin/berthd", "/run/berth/hook.sock",
		"/sys/class/net/berth-lan", "/etc/containers/containers.conf.d/99-berth.conf"} {
		if _, err := os.Lstat(path); err == nil {
			m.errorf("%s is left", path)
		}
	}
	for _, unit := range []string{unit, hookSocket, hookService} {
		m.wantProperty(unit, "ActiveState", "inactive")
	}
	if m.hasPodman() {
		m.ping("web", 2)
		m.runCommand("podman", "run", "--rm", "--network", "none", "bb", "true")
		m.eventually("forged frames pass: nothing of berth's is on "+parent, func() bool { return m.arrived(forged) > 0 })
	}
}

// removeTooEarly: the package stays as long as a container runs by its runtime, which podman executes to
// stop it. The host's own interface on a network exists until the removal.
func (m *machine) removeTooEarly() {
	m.runCommand("berth", "host", "enable", "lan")
	if _, err := os.Lstat("/sys/class/net/berth-lan"); err != nil {
		m.fatalf("%v", err)
	}
	m.runCommand("podman", "--runtime", "berth", "run", "-d", "--name", "by-runtime", "--network", "none", "bb", "sleep",
		"100000")
	out, err := exec.Command("dpkg", "-r", "berth").CombinedOutput()
	const refused = "containers run by berth's runtime: by-runtime; without it, podman can"
	if err == nil || !strings.Contains(string(out), refused) {
		m.errorf("the package is removed while a container runs by its runtime: %v\n%s", err, out)
	}
	m.wantProperty(unit, "ActiveState", "active")
	m.runCommand("podman", "exec", "by-runtime", "true")
	m.runCommand("podman", "stop", "--time", "1", "by-runtime")
	m.runCommand("podman", "rm", "by-runtime")
}

// purge: only files of the administrator remain of the package.
func purge(m *machine) {
	m.runCommand("dpkg", "-P", "berth")
	left := m.runCommand("find", "/", "-xdev", "-name", "*berth*", "-not", "-path", "/var/lib/containers/*")
	left += m.runCommand("find", "/run", "/sys/fs/bpf", "-name", "*berth*")
	wrote := map[string]bool{
		"/etc/berth":                                  true, // networks belong to the administrator
		"/etc/systemd/system/berthd.service.d":        true,
		"/run/systemd/system/berthd-metrics.socket.d": true,
	}
	for path := range strings.Lines(left) {
		if path = strings.TrimSpace(path); !wrote[path] {
			m.errorf("%s is left", path)
		}
	}
	if _, err := os.Lstat("/etc/berth/installed"); err == nil {
		m.errorf("/etc/berth/installed is left")
	}
	if failed := m.runCommand("systemctl", "--failed", "--plain", "--no-legend"); failed != "" {
		m.errorf("units failed:\n%s", failed)
	}
}
