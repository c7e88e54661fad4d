package lab

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Nerdctl drives a containerd of the host's own, with berth-runtime.
type Nerdctl struct {
	Containerd
	Namespace string // of containerd, "" for nerdctl's default one
	plugins   string // directory of CNI's plugins, "" for Debian's
}

// StartDaemon starts containerd, and loads an image unless it exists.
func (n *Nerdctl) StartDaemon() error {
	if err := writeEngineNetwork(n.networks()); err != nil {
		return err
	}
	if err := n.Containerd.StartDaemon(); err != nil {
		return err
	}
	return n.Load()
}

// networks returns the directory of nerdctl's networks. nerdctl makes one there itself.
func (n *Nerdctl) networks() string { return filepath.Join(n.dir(), "net.d") }

// NetworkFile returns the file that defines one of nerdctl's own networks.
func (n *Nerdctl) NetworkFile(name string) (string, error) {
	files, err := filepath.Glob(filepath.Join(n.networks(), "nerdctl-"+name+".conflist"))
	nested, _ := filepath.Glob(filepath.Join(n.networks(), "*", "nerdctl-"+name+".conflist")) // of one namespace
	if files = append(files, nested...); err == nil && len(files) != 1 {
		err = fmt.Errorf("nerdctl has the files %q of network %q, want one", files, name)
	}
	if err != nil {
		return "", err
	}
	return files[0], nil
}

// Client runs nerdctl.
func (n *Nerdctl) Client(args ...string) (string, error) {
	return n.Host.Run("nerdctl", append([]string{
		"--address", filepath.Join(n.dir(), "socket"), "--data-root", filepath.Join(n.dir(), "nerdctl"),
		"--cni-path", cmp.Or(n.plugins, debianPlugins), "--cni-netconfpath", n.networks(), "--cgroup-manager", "cgroupfs",
		"--cdi-spec-dirs", filepath.Join(n.dir(), "cdi"), "--namespace", cmp.Or(n.Namespace, "default"),
	}, args...)...)
}

// debianPlugins is the directory of Debian's plugins of CNI.
const debianPlugins = "/usr/lib/cni"

// UseCNI makes one of berth's networks one of nerdctl's, by a file of CNI. The plugins are then those
// of a directory of this host, which has links to Debian's.
func (n *Nerdctl) UseCNI(network string) error {
	n.plugins = filepath.Join(n.dir(), "plugins")
	if err := n.Host.writeCNI(network, n.plugins, n.networks()); err != nil {
		return err
	}
	all, err := os.ReadDir(debianPlugins)
	for _, plugin := range all {
		link := filepath.Join(n.plugins, plugin.Name())
		if err == nil && !exists(link) {
			err = os.Symlink(filepath.Join(debianPlugins, plugin.Name()), link)
		}
	}
	return err
}

// Load loads the image into the namespace, unless it exists.
func (n *Nerdctl) Load() error {
	if _, err := n.Client("image", "inspect", ImageName); err == nil {
		return nil
	}
	archive := filepath.Join(n.dir(), "image.tar")
	if err := Image(n.Rootfs, archive); err != nil {
		return err
	}
	_, err := n.Client("load", "--input", archive)
	return err
}

// DeviceDir returns the directory in which nerdctl finds CDI devices.
func (n *Nerdctl) DeviceDir() string { return filepath.Join(n.dir(), "cdi") }

// Program returns the runtime that a container names.
func (n *Nerdctl) Program() (string, error) { return n.program() }

// Start implements Engine.
func (n *Nerdctl) Start(c Container) (string, error) { return n.StartWith(c) }

// StartWith starts a container with further flags of nerdctl run.
func (n *Nerdctl) StartWith(c Container, flags ...string) (string, error) {
	program, err := n.Program()
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
	args := []string{"run", "--detach", "--name", c.ID, "--runtime", program, "--network", network, "--cap-add",
		"NET_ADMIN", "--pull", "never"}
	for _, key := range slices.Sorted(maps.Keys(c.Annotations)) {
		args = append(args, "--annotation", key+"="+c.Annotations[key])
	}
	if _, err := n.Client(slices.Concat(args, flags, []string{ImageName}, c.Args)...); err != nil {
		_, _ = n.Client("rm", "--force", c.ID) // nerdctl leaves it; the error of the start is returned
		return "", err
	}
	id, err := n.Client("inspect", "--format", "{{.Id}}", c.ID)
	return strings.TrimSpace(id), err
}

// Exec implements Engine.
func (n *Nerdctl) Exec(id, name string, args ...string) (string, error) {
	return execWhole(func(command []string) (string, error) {
		return n.Client(append([]string{"exec", id}, command...)...)
	}, append([]string{name}, args...))
}

// PID implements Engine.
func (n *Nerdctl) PID(id string) (int, error) { return inspectedPID(n.Client, id) }

// Restart implements Engine.
func (n *Nerdctl) Restart(id string) error {
	_, err := n.Client("restart", "--time", "1", id)
	return err
}

// Stop implements Engine.
func (n *Nerdctl) Stop(id string) error {
	_, err := n.Client("rm", "--force", id)
	return err
}

// NameOf returns the name of a container.
func (n *Nerdctl) NameOf(id string) (string, error) { return inspectedName(n.Client, id) }
