package network

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// sysctlDir is a mount of its own if a container engine made it read-only. The files below
// net belong to the network namespace of the process that opens them (net/sysctl_net.c).
const sysctlDir = "/proc/sys"

// UnlockSysctls makes the sysctls writable in an unprivileged container: only they can enable
// or disable IPv6 of an interface.
func UnlockSysctls() error {
	var st unix.Statfs_t
	if err := unix.Statfs(sysctlDir, &st); err != nil {
		return fmt.Errorf("examine %s: %w", sysctlDir, err)
	}
	if st.Flags&unix.ST_RDONLY == 0 {
		return nil
	}
	const as = unix.MS_REMOUNT | unix.MS_BIND | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount("", sysctlDir, "", as, ""); err != nil {
		return fmt.Errorf("make %s writable: %w; give the container CAP_SYS_ADMIN, and an AppArmor profile that allows "+
			"mounting", sysctlDir, err)
	}
	return nil
}
