package main

import (
	"os"
	"strings"
)

// remove: the removal of the package reports the effect on containers. Running
// containers continue, and the engine can start others.
func remove(m *machine) {
	out := m.runCommand("dpkg", "-r", "berth")
	m.logf("%s", out)
	if !strings.Contains(out, "without the interface") {
		m.errorf("the removal does not say that containers start without their interfaces")
	}
	for _, path := range []string{"/sys/fs/bpf/berth", "/usr/bin/berthd", "/run/berth/hook.sock",
		"/etc/containers/containers.conf.d/99-berth.conf"} {
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
