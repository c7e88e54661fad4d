package lab

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// Nerdctl drives a containerd of the host's own, with berth-runtime.
type Nerdctl struct {
	Containerd
}

func (n *Nerdctl) run(args ...string) (string, error) {
	return n.Host.Run("nerdctl", append([]string{
		"--address", filepath.Join(n.dir(), "socket"), "--data-root", filepath.Join(n.dir(), "nerdctl"),
		"--cni-path", "/usr/lib/cni", "--cni-netconfpath", "/etc/cni/net.d", "--cgroup-manager", "cgroupfs",
	}, args...)...)
}

// Start implements Engine.
func (n *Nerdctl) Start(c Container) (string, error) {
	program, err := n.program()
	if err != nil {
		return "", err
	}
	network := c.Network
	switch network {
	case "":
		network = "none"
	case EngineNetwork:
		network = engineNetworkName
	}
	args := []string{"run", "--detach", "--name", c.ID, "--runtime", program, "--network", network, "--cap-add", "NET_ADMIN"}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		args = append(args, "--annotation", key+"="+c.Annotations[key])
	}
	if _, err := n.run(append(append(args, "--rootfs", n.Rootfs), c.Args...)...); err != nil {
		_, _ = n.run("rm", "--force", c.ID) // nerdctl leaves it; the start's error is what counts
		return "", err
	}
	id, err := n.run("inspect", "--format", "{{.Id}}", c.ID)
	return strings.TrimSpace(id), err
}

// Exec implements Engine.
func (n *Nerdctl) Exec(id, name string, args ...string) (string, error) {
	return n.run(append([]string{"exec", id, name}, args...)...)
}

// PID implements Engine.
func (n *Nerdctl) PID(id string) (int, error) { return inspectedPID(n.run, id) }

// Restart implements Engine.
func (n *Nerdctl) Restart(id string) error {
	_, err := n.run("restart", "--time", "1", id)
	return err
}

// Stop implements Engine.
func (n *Nerdctl) Stop(id string) error {
	_, err := n.run("rm", "--force", id)
	return err
}
