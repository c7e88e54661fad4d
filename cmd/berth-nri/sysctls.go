package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sysctls is a mount of its own where a container engine made it read-only.
// What is below net in it is of the network namespace of whoever looks
// (net/sysctl_net.c).
const sysctls = "/proc/sys"

// openSysctls makes the sysctls writable in a container that is not privileged:
// whether an interface has IPv6 is said there, and nowhere else.
func openSysctls() error {
	var st unix.Statfs_t
	if err := unix.Statfs(sysctls, &st); err != nil {
		return fmt.Errorf("look at %s: %w", sysctls, err)
	}
	if st.Flags&unix.ST_RDONLY == 0 {
		return nil
	}
	const as = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("", sysctls, "", as, ""); err != nil {
		return fmt.Errorf("make %s writable: %w; it takes CAP_SYS_ADMIN, and a profile of AppArmor that does not forbid it", sysctls, err)
	}
	return nil
}
