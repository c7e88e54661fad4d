package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// quadlet is the unit of a container that forges its MAC from its first frame on. It
// has no ordering of its own.
const quadlet = `[Unit]
Description=A container that forges

[Container]
Image=localhost/bb
ContainerName=forger
Network=none
Annotation=berth/networks=lan
AddCapability=NET_RAW NET_ADMIN
Exec=sh -c 'ip link set net1 address ` + forged + `; while :; do ping -q -c 1 -W 1 ` + gateway + `; sleep 1; done'

[Quadlet]
DefaultDependencies=false

[Install]
WantedBy=multi-user.target
`

// restartMachine prepares a reboot at which podman and a quadlet start containers, and
// at which the agent starts slowly.
func restartMachine(m *machine) {
	for name, text := range map[string]string{
		"/etc/containers/systemd/forger.container":       quadlet,
		"/etc/systemd/system/berthd.service.d/slow.conf": "[Service]\nExecStartPre=/bin/sleep 5\n",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			m.fatalf("%v", err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			m.fatalf("%v", err)
		}
	}
	m.runCommand("systemctl", "daemon-reload")
	m.runCommand("systemctl", "enable", "podman-restart.service")
	m.startContainer("gone") // it is not restarted at boot
	e := m.endpoint("web")
	m.state.Facts["leases"] = m.runCommand("berth", "ps", "--json")
	m.logf("before the reboot web has %s and %v", e.MAC, e.Addresses)
	panic(reboot{})
}

// afterBoot: the agent started before the containers, forged frames were dropped from
// the first one on, and no state of the previous boot is left.
func afterBoot(m *machine) {
	m.wantProperty(unit, "NRestarts", "0")
	ready := m.monotonic(unit, "ActiveEnterTimestampMonotonic")
	for _, later := range []string{"forger.service", "podman-restart.service"} {
		m.wantProperty(later, "ActiveState", "active")
		if began := m.monotonic(later, "InactiveExitTimestampMonotonic"); began < ready {
			m.errorf("%s began %d µs before the agent was ready", later, ready-began)
		}
	}
	m.eventually("forged frames are dropped", func() bool { return m.endpoint("forger").Violations["mac-spoof"] > 0 })
	if n := m.arrived(forged); n != 0 {
		m.errorf("%d forged frames reached the LAN", n)
	}
	m.ping("web", 3)
	m.exact("web")
	names := strings.Fields(m.runCommand("podman", "ps", "--format", "{{.Names}}"))
	status := m.runCommand("berth", "ps", "--json")
	for _, name := range names {
		m.endpoint(name)
	}
	if strings.Count(status, `"container_id"`) != len(names) || strings.Contains(status, "gone") {
		m.errorf("containers %v run, and berth ps has\n%s", names, status)
	}
	// Everything matches its record except the forged MAC, the only failure.
	if out, _ := output("berth", "check", "--attached"); !strings.Contains(out, " 0 warn, 1 fail") {
		m.errorf("berth check --attached:\n%s", out)
	}
}

// monotonic returns a time of a unit in microseconds since the kernel started.
func (m *machine) monotonic(unit, name string) int {
	n, err := strconv.Atoi(m.property(unit, name))
	if err != nil || n == 0 {
		m.fatalf("%s of %s: %d, %v", name, unit, n, err)
	}
	return n
}
