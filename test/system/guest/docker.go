package main

import (
	"encoding/json"
	"os"
	"strings"
	"time"
)

const (
	driverSocket  = "berth-docker.socket"
	driverService = "berth-docker.service"
)

// docker: the commands of docs/engines/docker.md, one after another, with docker as a service that
// is not reloaded: a container is on a network of berth's, with the address that docker shows.
func docker(m *machine) {
	m.importDockerImage()
	m.runCommand("berth", "network", "create", "lan", "--subnet", "192.0.2.0/24", "--gateway", gateway,
		"--ip-range", "192.0.2.64/26", "-o", "parent="+parent)
	m.logf("%s", m.runCommand("berth", "install", "--engine", "docker"))
	m.runCommand("systemctl", "enable", "--now", driverSocket)
	m.runCommand("docker", "network", "create", "--driver", "berth", "--ipam-driver", "berth",
		"--subnet", "192.0.2.0/24", "--opt", "network=lan", "lan")
	m.runCommand("docker", "run", "--detach", "--name", "web", "--network", "lan", "busybox", "sleep", "100000")
	m.runCommand("docker", "run", "--detach", "--name", "db", "--network",
		"name=lan,ip=192.0.2.70,mac-address=02:00:5e:00:53:01", "busybox", "sleep", "100000")
	m.wantDocker("web", "lan", "192.0.2.64")
	m.wantDocker("db", "lan", "192.0.2.70")
	m.runCommand("systemctl", "reload", "docker")
	m.logf("%s", m.runCommand("berth", "doctor", "docker", "--try"))
	m.wantProperty(driverService, "NRestarts", "0")
}

// importDockerImage makes the image busybox.
func (m *machine) importDockerImage() {
	m.makeRootfs("/var/tmp/bb")
	m.runCommand("tar", "-C", "/var/tmp/bb", "-cf", "/var/tmp/bb.tar", ".")
	m.runCommand("docker", "import", "--change", "ENV PATH=/bin", "/var/tmp/bb.tar", "busybox")
}

// wantDocker checks that docker and berth show an address of a container, and that the LAN answers
// it.
func (m *machine) wantDocker(name, network, address string) {
	m.wantDockerAddress(name, network, address)
	if e := m.endpoint(name); len(e.Addresses) != 1 || e.Addresses[0].Addr().String() != address {
		m.errorf("berth shows %v of %s, want %s", e.Addresses, name, address)
	}
	out := m.runCommand("docker", "exec", name, "ping", "-q", "-c", "3", "-W", "20", gateway)
	if !strings.Contains(out, "3 packets received") {
		m.errorf("pings of %s: %s", name, out)
	}
}

func (m *machine) wantDockerAddress(name, network, address string) {
	text := m.runCommand("docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", name)
	var all map[string]struct{ IPAddress string }
	if err := json.Unmarshal([]byte(text), &all); err != nil || all[network].IPAddress != address {
		m.errorf("docker shows %s of %s, %v, want %s", text, name, err, address)
	}
}

// ipvlan: a network of docker whose interfaces are ipvlan. One parent has one kind, so the containers
// with macvlan end before.
func ipvlan(m *machine) {
	m.runCommand("docker", "rm", "--force", "web", "db")
	m.runCommand("berth", "network", "create", "ipv", "--subnet", "192.0.2.0/24", "--gateway", gateway,
		"--ip-range", "192.0.2.128/26", "-d", "ipvlan", "-o", "parent="+parent)
	m.runCommand("docker", "network", "create", "--driver", "berth", "--ipam-driver", "berth",
		"--subnet", "192.0.2.0/24", "--opt", "network=ipv", "ipv")
	m.runCommand("docker", "run", "--detach", "--name", "ipv", "--network", "ipv", "busybox", "sleep", "100000")
	m.wantDocker("ipv", "ipv", "192.0.2.128")
	if mode := m.endpoint("ipv").Mode; mode != "l2" {
		m.errorf("berth shows the mode %s, want l2", mode)
	}
	m.runCommand("docker", "rm", "--force", "ipv")
	m.runCommand("docker", "network", "rm", "ipv")
}

// masked: an administrator masks the driver. docker fails to start containers on its networks after
// the time that docs/engines/docker.md names, and other containers are unaffected. docker restarts,
// and starts them again when the driver is back.
func masked(m *machine) {
	m.runCommand("docker", "run", "--detach", "--name", "web", "--network", "lan", "busybox", "sleep", "100000")
	m.runCommand("systemctl", "mask", "--now", driverSocket, driverService)
	begin := time.Now()
	_, err := output("docker", "run", "--name", "late", "--network", "lan", "busybox", "true")
	m.logf("docker run without the driver, after %.0f s: %v", time.Since(begin).Seconds(), err)
	if err == nil || !strings.Contains(err.Error(), "berth") {
		m.errorf("without the driver docker run prints %v", err)
	}
	if lines, err := output("berth", "doctor", "docker"); err == nil || !strings.Contains(lines, "systemctl unmask") {
		m.errorf("without the driver berth doctor prints %s, %v, want its failure and the remedy", lines, err)
	}
	m.runCommand("docker", "rm", "--force", "late")
	m.runCommand("docker", "run", "--rm", "--network", "none", "busybox", "true")
	m.wantDockerAddress("web", "lan", "192.0.2.64")
	begin = time.Now()
	m.runCommand("systemctl", "restart", "docker")
	m.logf("docker restarted without the driver after %.0f s", time.Since(begin).Seconds())
	_, err = output("docker", "start", "web")
	m.logf("docker start without the driver: %v", err)
	m.runCommand("systemctl", "unmask", driverSocket, driverService)
	m.runCommand("systemctl", "start", driverSocket)
	m.runCommand("docker", "start", "web")
	m.eventually("web has an address", func() bool {
		out, err := output("docker", "exec", "web", "ping", "-q", "-c", "1", "-W", "5", gateway)
		return err == nil && strings.Contains(out, "1 packets received")
	})
	m.logf("%s", m.runCommand("berth", "ps"))
}

// dockerRemoved: the page's commands remove berth from docker.
func dockerRemoved(m *machine) {
	m.runCommand("docker", "rm", "--force", "web")
	m.eventually("nothing is attached", func() bool {
		return strings.TrimSpace(m.runCommand("berth", "ps", "--json")) == "[]"
	})
	m.runCommand("docker", "network", "rm", "lan")
	m.runCommand("berth", "uninstall", "--engine", "docker")
	m.runCommand("systemctl", "restart", "docker")
	m.logf("%s", m.runCommand("berth", "uninstall", "--engine", "docker"))
	m.runCommand("systemctl", "stop", driverSocket, driverService)
	for _, path := range []string{"/etc/docker/daemon.json", "/run/docker/plugins/berth.sock"} {
		if _, err := os.Lstat(path); err == nil {
			m.errorf("%s is left", path)
		}
	}
	m.runCommand("docker", "run", "--rm", "--network", "none", "busybox", "true")
}
