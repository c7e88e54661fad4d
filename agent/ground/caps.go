package ground

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// neededCaps lists the capabilities that the agent requires.
var neededCaps = []int{
	unix.CAP_BPF,       // maps and programs
	unix.CAP_NET_ADMIN, // programs of type sched_cls, attaching them, deleting links
	unix.CAP_PERFMON,   // pointer arithmetic in the programs, without masks in the path of a frame
}

// wantedCaps lists the capabilities that it keeps if it has them.
var wantedCaps = []int{
	unix.CAP_NET_BROADCAST, // to receive notifications of the containers' namespaces
}

// ErrPrivilege is returned if a capability is missing.
var ErrPrivilege = errors.New("not enough privilege")

// Confine drops every capability that the agent does not need, for good: it narrows the
// bounding set and executes the program again, so that no thread has more. It returns if
// there is nothing (left) to drop. more lists capabilities to keep for an optional setting.
//
// Call it before anything is opened. The error wraps ErrPrivilege if a needed capability is
// missing.
func Confine(more ...int) error {
	effective, err := effectiveCaps()
	if err != nil {
		return err
	}
	for _, c := range neededCaps {
		if !effective.hasCap(c) {
			return fmt.Errorf("%w: berthd needs %s; run it as root, or set AmbientCapabilities=%s in its unit",
				ErrPrivilege, capNames([]int{c}), capNames(slices.Concat(neededCaps, wantedCaps)))
		}
	}
	keep := slices.Concat(neededCaps, wantedCaps, more)
	surplus, err := surplusCaps(keep)
	if err != nil || len(surplus) == 0 || !effective.hasCap(unix.CAP_SETPCAP) {
		return err
	}
	path, err := os.Executable()
	if err != nil {
		return fmt.Errorf("drop capabilities: find berthd's executable: %w", err)
	}
	runtime.LockOSThread() // the bounding set belongs to the thread, and execve uses the thread's
	defer runtime.UnlockOSThread()
	for _, c := range surplus {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(c), 0, 0, 0); err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	return fmt.Errorf("drop capabilities: execute %q: %w", path, unix.Exec(path, os.Args, os.Environ()))
}

// capSet is a set of capabilities by number.
type capSet [2]uint32

func (s capSet) hasCap(c int) bool { return s[c/32]&(1<<(c%32)) != 0 }

func effectiveCaps() (capSet, error) {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return capSet{}, fmt.Errorf("read capabilities: %w", err)
	}
	return capSet{data[0].Effective, data[1].Effective}, nil
}

// surplusCaps returns the capabilities of the bounding set that are not in keep. The kernel
// returns EINVAL after its last one.
func surplusCaps(keep []int) (surplus []int, err error) {
	for c := 0; c < 64; c++ {
		bounding, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, uintptr(c), 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read the capability bounding set: %w", err)
		}
		if bounding == 1 && !slices.Contains(keep, c) {
			surplus = append(surplus, c)
		}
	}
	return surplus, nil
}

// capNames returns the names of capabilities in the form of units and setpriv(1).
func capNames(caps []int) string {
	var all []string
	for _, c := range caps {
		all = append(all, map[int]string{unix.CAP_BPF: "CAP_BPF", unix.CAP_NET_ADMIN: "CAP_NET_ADMIN",
			unix.CAP_PERFMON:       "CAP_PERFMON",
			unix.CAP_NET_BROADCAST: "CAP_NET_BROADCAST"}[c])
	}
	return strings.Join(all, " ")
}

// Needed returns the names of the capabilities that the agent requires.
func Needed() string { return capNames(neededCaps) }
