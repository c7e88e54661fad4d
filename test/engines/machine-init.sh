#!/bin/sh
# Process 1 of a machine. Debian's initrd has mounted /proc, /sys, /dev and /run.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
stty -F /dev/ttyS1 raw -echo
exec >/dev/ttyS1 2>&1
run() {
	set -e
	mkdir -p /share /usr/lib/modules /dev/shm /dev/pts /var/lib/cni
	mount -t tmpfs tmpfs /tmp
	mount -t tmpfs tmpfs /dev/shm
	mount -t devpts devpts /dev/pts
	mount -t cgroup2 cgroup2 /sys/fs/cgroup
	echo '+cpu +io +memory +pids' >/sys/fs/cgroup/cgroup.subtree_control
	mount -t bpf bpf /sys/fs/bpf
	mount -o ro /dev/vdb /share
	mount --bind /share/modules /usr/lib/modules
	ip link set lo up
	echo '127.0.0.1 localhost' >/etc/hosts
	: >/etc/resolv.conf
	exec /share/run
}
(run)
echo "machine-init: exit status $?"
stty -F /dev/ttyS1 sane # waits until all is written
echo o >/proc/sysrq-trigger
exec tail -f /dev/null # process 1 must not end
