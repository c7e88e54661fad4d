package main

import (
	"time"

	"berth/test/machine"
)

// disks are the images of a machine. The root image does not change: the machine's
// writes are discarded at its end.
type disks struct{ root, payload string }

// newMachine returns a machine with its disks and two network cards on one hub.
// Its second serial line is standard output; words are added to the kernel's
// command line.
func newMachine(boot *machine.BootFiles, d disks, console string, limit time.Duration,
	words ...string) *machine.Machine {
	words = append([]string{
		"root=/dev/vda rw console=ttyS0 net.ifnames=0 loglevel=4",
		"systemd.mask=apt-daily.timer systemd.mask=apt-daily-upgrade.timer systemd.mask=dpkg-db-backup.timer",
		"systemd.mask=fstrim.timer systemd.mask=e2scrub_all.timer systemd.firstboot=off",
	}, words...)
	return &machine.Machine{Console: console, Limit: limit, Args: []string{
		"-M", "q35", "-serial", "file:" + console, "-serial", "stdio",
		"-kernel", boot.Kernel, "-initrd", boot.Initrd, "-append", machine.Boot(words...),
		"-drive", "if=virtio,format=raw,cache=unsafe,snapshot=on,file=" + d.root,
		"-drive", "if=virtio,format=raw,readonly=on,file=" + d.payload,
		"-netdev", "hubport,hubid=1,id=far", "-device", "virtio-net-pci,netdev=far,mac=52:54:00:00:00:01,romfile=",
		"-netdev", "hubport,hubid=1,id=parent", "-device", "virtio-net-pci,netdev=parent,mac=52:54:00:00:00:02,romfile=",
		"-device", "virtio-rng-pci",
	}}
}
