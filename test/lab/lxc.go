package lab

import (
	"fmt"
	"path/filepath"
	"strings"
)

// LXC makes containers of LXC on a host, with the tools lxc-start and the like.
type LXC struct {
	Host   *Host
	Rootfs string
}

func (l *LXC) dir() string { return filepath.Join(l.Host.Dir, "lxc") }

// lxcConfig is the configuration of a container with a macvlan interface on eth1.
const lxcConfig = `lxc.uts.name = %[1]s
lxc.rootfs.path = dir:%[2]s
lxc.init.cmd = /bin/sleep 600
lxc.apparmor.profile = unconfined
lxc.mount.auto =
lxc.net.0.type = macvlan
lxc.net.0.macvlan.mode = bridge
lxc.net.0.link = eth1
lxc.net.0.name = eth0
lxc.net.0.flags = up
lxc.net.0.hwaddr = %[3]s
lxc.net.0.ipv4.address = %[4]s
`

// Start starts a container with a macvlan interface on the parent eth1.
func (l *LXC) Start(name, mac, address string) error {
	text := fmt.Sprintf(lxcConfig, name, l.Rootfs, mac, address)
	if err := writeFile(filepath.Join(l.dir(), name, "config"), text); err != nil {
		return err
	}
	_, err := l.Host.Run("lxc-start", "-P", l.dir(), "-n", name, "-l", "INFO", "-o", filepath.Join(l.dir(), name, "log"))
	return err
}

// Exec runs a program of the root file system in the container's network namespace, and returns its
// output.
func (l *LXC) Exec(name string, args ...string) (string, error) {
	pid, err := l.Host.Run("lxc-info", "-P", l.dir(), "-n", name, "-pH")
	if err != nil {
		return "", err
	}
	return l.Host.Run("nsenter", append([]string{"--target", strings.TrimSpace(pid), "--net", "--"}, args...)...)
}

// Stop kills a container.
func (l *LXC) Stop(name string) error {
	_, err := l.Host.Run("lxc-stop", "-P", l.dir(), "-n", name, "-k")
	return err
}
