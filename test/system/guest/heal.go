package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/specs"
)

// heal: the driver of the parent is unbound and bound again while a container runs on it. systemd
// starts `berth heal`, and the container is reached under its address as before.
func heal(m *machine) {
	m.startContainer("healed")
	m.ping("healed", 1)
	before := m.endpoint("healed")
	device, err := filepath.EvalSymlinks("/sys/class/net/" + parent + "/device")
	if err != nil {
		m.fatalf("%v", err)
	}
	m.bind("unbind", filepath.Base(device))
	if _, err := output("ip", "link", "show", parent); err == nil {
		m.fatalf("%s outlives its driver", parent)
	}
	m.bind("bind", filepath.Base(device))
	m.nameParent(filepath.Base(device))
	m.runCommand("ip", "link", "set", parent, "up")
	m.eventually("the interface is made again", func() bool {
		_, err := output("podman", "exec", "healed", "ip", "link", "show", "net1")
		return err == nil
	})
	m.ping("healed", 3)
	now := m.endpoint("healed")
	if now.MAC != before.MAC || !slices.Equal(now.Addresses, before.Addresses) {
		m.errorf("was %+v, is %+v", before, now)
	}
	m.eventually("the event", func() bool {
		return strings.Contains(m.runCommand("berth", "events"), string(specs.InterfaceHealed))
	})
	m.runCommand("podman", "rm", "-f", "-t", "0", "healed")
}

// bind writes a device's name to a file of the driver virtio_net.
func (m *machine) bind(file, device string) {
	if err := os.WriteFile("/sys/bus/virtio/drivers/virtio_net/"+file, []byte(device), 0o200); err != nil {
		m.fatalf("%v", err)
	}
}

// nameParent gives the interface of a device the parent's name: the kernel took the first free one.
func (m *machine) nameParent(device string) {
	names, err := filepath.Glob("/sys/bus/virtio/devices/" + device + "/net/*")
	if err != nil || len(names) != 1 {
		m.fatalf("interfaces of %s: %q, %v", device, names, err)
	}
	if name := filepath.Base(names[0]); name != parent {
		m.runCommand("ip", "link", "set", name, "name", parent)
	}
}
