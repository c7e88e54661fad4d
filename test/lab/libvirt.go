package lab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Libvirt is a libvirtd of the host's own, at the usual places of the isolated space, so that there
// is one.
type Libvirt struct {
	Host         *Host
	daemon, logs *Daemon
}

// libvirtConfig has QEMU run as libvirtd runs, without the sandbox that a service manager provides.
const libvirtConfig = `namespaces = []
cgroup_controllers = []
user = "root"
group = "root"
remember_owner = 0
`

// StartDaemon starts libvirtd. The kernel makes the file of a macvtap interface in a devtmpfs,
// which it mounts over the isolated space's /dev.
func (l *Libvirt) StartDaemon() (err error) {
	if err := unix.Mount("berth-lab", "/dev", "devtmpfs", 0, ""); err != nil {
		return fmt.Errorf("mount a devtmpfs on /dev: %w", err)
	}
	if err := writeFile("/etc/libvirt/qemu.conf", libvirtConfig); err != nil {
		return err
	}
	dir := filepath.Join(l.Host.Dir, "libvirt")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if l.logs, err = l.Host.start(filepath.Join(dir, "virtlogd.log"), "virtlogd", "--pid-file",
		filepath.Join(dir, "virtlogd.pid")); err != nil {
		return err
	}
	if l.daemon, err = l.Host.start(filepath.Join(dir, "log"), "libvirtd", "--pid-file",
		filepath.Join(dir, "pid")); err != nil {
		return err
	}
	return l.daemon.ready(func() error { _, err := l.Client("version"); return err })
}

// StopDaemon ends libvirtd. Virtual machines go on.
func (l *Libvirt) StopDaemon() error {
	return firstError(l.daemon.Stop(), l.logs.Stop(), unix.Unmount("/dev", unix.MNT_DETACH))
}

// Client runs virsh.
func (l *Libvirt) Client(args ...string) (string, error) {
	return l.Host.Run("virsh", append([]string{"--connect", "qemu:///system"}, args...)...)
}

// libvirtNetwork is a network whose interfaces are macvtap interfaces on eth1.
const libvirtNetwork = `<network><name>%s</name><forward mode='bridge'><interface dev='eth1'/></forward></network>`

// DefineNetwork defines and starts a network of macvtap interfaces on the parent eth1.
func (l *Libvirt) DefineNetwork(name string) error {
	file := filepath.Join(l.Host.Dir, "libvirt", name+".net")
	if err := writeFile(file, fmt.Sprintf(libvirtNetwork, name)); err != nil {
		return err
	}
	_, errDefine := l.Client("net-define", file)
	_, errStart := l.Client("net-start", name)
	return firstError(errDefine, errStart)
}

// domain is a virtual machine without a disk: its firmware sends DHCP requests by both interfaces.
const domain = `<domain type='qemu'><name>%s</name><memory>65536</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc'>hvm</type><boot dev='network'/></os>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<interface type='direct'><mac address='%s'/><source dev='eth1' mode='private'/><model type='virtio'/></interface>
<interface type='network'><mac address='%s'/><source network='%s'/><model type='virtio'/></interface>
</devices></domain>`

// Start starts a virtual machine with two macvtap interfaces: one on the parent eth1, and one on a
// network.
func (l *Libvirt) Start(name, macDirect, macNetwork, network string) error {
	file := filepath.Join(l.Host.Dir, "libvirt", name+".domain")
	if err := writeFile(file, fmt.Sprintf(domain, name, macDirect, macNetwork, network)); err != nil {
		return err
	}
	_, err := l.Client("create", file)
	return err
}

// Stop kills a virtual machine.
func (l *Libvirt) Stop(name string) error {
	_, err := l.Client("destroy", name)
	return err
}
