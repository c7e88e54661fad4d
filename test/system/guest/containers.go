package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"berth/specs"
)

const (
	lanFile = "/etc/berth/networks.d/lan.toml"
	forged  = "02:00:5e:00:53:66"
)

// containers: podman's containers reach the LAN, and are counted exactly.
func containers(m *machine) {
	m.importImage()
	m.runCommand("berth", "install", "--engine", "podman")
	m.runCommand("berth", "network", "create", "lan", "--subnet", "192.0.2.0/24", "--gateway", gateway,
		"--ip-range", "192.0.2.64/26", "-o", "parent="+parent)
	text, err := os.ReadFile(lanFile)
	if err != nil {
		m.fatalf("%v", err)
	}
	if err := os.WriteFile(lanFile, append([]byte("enforce = [\"mac-spoof\"]\n"), text...), 0o644); err != nil {
		m.fatalf("%v", err)
	}
	m.eventually("the agent counts at "+parent, func() bool {
		return strings.Contains(m.runCommand("berth", "agent", "status"), "counting     yes")
	})
	m.startContainer("web", "--restart", "always")
	m.ping("web", 3)
	m.exact("web")
}

// importImage makes image bb of busybox.
func (m *machine) importImage() {
	root := "/var/tmp/bb"
	m.makeRootfs(root)
	m.runCommand("tar", "-C", root, "-cf", "/var/tmp/bb.tar", ".")
	m.runCommand("podman", "import", "-q", "/var/tmp/bb.tar", "bb")
}

// makeRootfs makes the root file system of containers.
func (m *machine) makeRootfs(root string) {
	for _, dir := range []string{"bin", "etc", "proc", "sys", "dev", "tmp"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			m.fatalf("%v", err)
		}
	}
	m.runCommand("cp", "/bin/busybox", root+"/bin/")
	for _, name := range []string{"sh", "sleep", "ping", "ip", "true"} {
		if err := os.Symlink("busybox", filepath.Join(root, "bin", name)); err != nil {
			m.fatalf("%v", err)
		}
	}
}

// start starts a container on network lan.
func (m *machine) startContainer(name string, options ...string) {
	args := append([]string{
		"run", "-d", "--name", name, "--network", "none", "--cap-add", "NET_RAW,NET_ADMIN",
		"--annotation", "berth/networks=lan",
	}, options...)
	m.runCommand("podman", append(args, "bb", "sleep", "100000")...)
}

// ping sends pings from a container to the LAN's other end, which answers all.
func (m *machine) ping(name string, count int) {
	out := m.runCommand("podman", "exec", name, "ping", "-q", "-c", fmt.Sprint(count), "-W", "20", gateway)
	if !strings.Contains(out, fmt.Sprintf("%d packets received", count)) {
		m.errorf("pings of %s: %s", name, out)
	}
}

// exact checks that the agent's counts of a container's transmitted frames equal the
// kernel's at the container's interface.
func (m *machine) exact(name string) {
	pid := strings.TrimSpace(m.runCommand("podman", "inspect", "-f", "{{.State.Pid}}", name))
	var last string
	m.eventually("counts of "+name+" are the interface's", func() bool {
		sent, agent := m.sent(pid), m.endpoint(name)
		got := fmt.Sprintf("%d packets, %d bytes", agent.Counters.Transmit.Total().Packets,
			agent.Counters.Transmit.Total().Bytes)
		if last != sent+"; "+got {
			last = sent + "; " + got
			m.logf("%s sent %s; the agent counted %s", name, sent, got)
		}
		return sent == got
	})
}

// sent returns the kernel's transmit count at net1 in the namespace of a process.
func (m *machine) sent(pid string) string {
	var links []struct {
		Stats64 struct {
			Tx struct{ Packets, Bytes uint64 }
		}
	}
	text := m.runCommand("nsenter", "-n", "-t", pid, "ip", "-s", "-j", "link", "show", "net1")
	if err := json.Unmarshal([]byte(text), &links); err != nil || len(links) != 1 {
		m.fatalf("statistics of net1: %v: %s", err, text)
	}
	tx := links[0].Stats64.Tx
	return fmt.Sprintf("%d packets, %d bytes", tx.Packets, tx.Bytes)
}

// journal: a violation is a journal entry with fields. If the network enforces the
// kind, the frame does not reach the LAN.
func journal(m *machine) {
	m.startContainer("spoof")
	m.runCommand("podman", "exec", "spoof", "ip", "link", "set", "net1", "address", forged)
	_, _ = output("podman", "exec", "spoof", "ping", "-q", "-c", "2", "-W", "1", gateway) // nothing answers
	var entry map[string]any
	m.eventually("an entry of the journal", func() bool {
		text, err := exec.Command("journalctl", "--quiet", "-b", "-o", "json", "-u", unit, "-n", "1",
			"BERTH_KIND="+string(specs.MACSpoof), "BERTH_SENDER_NAME=spoof").Output()
		return err == nil && len(text) > 0 && json.Unmarshal(text, &entry) == nil
	})
	for field, want := range map[string]string{
		"MESSAGE_ID": "6f1c2d3c8a5e4b52b1d7c0a9e4f3b817", "BERTH_MAC": forged, "BERTH_PARENT": parent,
		"BERTH_SENDER_NETWORK": "lan", "BERTH_SENDER_INTERFACE": "net1", "BERTH_DROPPED": "1", "BERTH_DIRECTION": "egress",
	} {
		if entry[field] != want {
			m.errorf("%s is %v in the journal, want %q", field, entry[field], want)
		}
	}
	if n := m.arrived(forged); n != 0 {
		m.errorf("%d forged frames reached the LAN", n)
	}
	m.runCommand("podman", "rm", "-f", "-t", "0", "spoof")
}
