package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sysctls is a mount of its own if a container engine made it read-only. The files below
// net belong to the network namespace of the process that opens them (net/sysctl_net.c).
const sysctls = "/proc/sys"

// openSysctls makes the sysctls writable in an unprivileged container: only they can enable
// or disable IPv6 of an interface.
func openSysctls() error {
	var st unix.Statfs_t
	if err := unix.Statfs(sysctls, &st); err != nil {
		return fmt.Errorf("examine %s: %w", sysctls, err)
	}
	if st.Flags&unix.ST_RDONLY == 0 {
		return nil
	}
	const as = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("", sysctls, "", as, ""); err != nil {
		return fmt.Errorf("make %s writable: %w; give berth-nri CAP_SYS_ADMIN, and an AppArmor profile that allows mounting",
			sysctls, err)
	}
	return nil
}
