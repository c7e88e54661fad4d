package resident

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// needed are the capabilities without which berth-hook itself attaches nothing: CAP_NET_ADMIN and
// CAP_SYS_ADMIN, as bits.
const needed = 1<<unix.CAP_NET_ADMIN | 1<<unix.CAP_SYS_ADMIN

// checkPeer returns the process at the other end of a connection. It refuses a process that is not
// root, or whose ids of processes, users or network are not those of the service: the ids and
// interfaces in its request would be others here. It also refuses root without the capabilities
// that the work takes, as in a container that shares the host's namespaces: the service does
// nothing for a process that this process could not do. The kernel recorded who connected (unix(7),
// SO_PEERCRED).
func checkPeer(conn int, own namespaces) (pid int, err error) {
	peer, err := unix.GetsockoptUcred(conn, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return 0, fmt.Errorf("ask for the client of a connection: %w", err)
	}
	if peer.Uid != 0 || peer.Pid <= 0 {
		return 0, fmt.Errorf("the client with process id %d and user id %d is not root of this host", peer.Pid, peer.Uid)
	}
	process, err := openPeer(conn, int(peer.Pid))
	if err != nil {
		return 0, fmt.Errorf("the client with process id %d has ended, or shows no pidfd: %w", peer.Pid, err)
	}
	defer unix.Close(process)
	if err := checkProcess(int(peer.Pid), own); err != nil {
		return 0, fmt.Errorf("the client with process id %d %w", peer.Pid, err)
	}
	if pollEnded(process) { // another process may have had the ID
		return 0, fmt.Errorf("the client with process id %d has ended", peer.Pid)
	}
	return int(peer.Pid), nil
}

// openPeer returns a pidfd of the process that connected. Before Linux 6.5 it is that of the process
// that has its ID now.
func openPeer(conn, pid int) (pidfd int, err error) {
	pidfd, err = unix.GetsockoptInt(conn, unix.SOL_SOCKET, unix.SO_PEERPIDFD)
	if err == unix.ENOPROTOOPT {
		pidfd, err = unix.PidfdOpen(pid, 0)
	}
	return pidfd, os.NewSyscallError("open a pidfd", err)
}

// pollEnded reports whether a process has ended (pidfd_open(2)).
func pollEnded(pidfd int) bool {
	wanted := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(wanted, 0)
	return n > 0 || err != nil
}

// checkProcess refuses a process in other namespaces than the service, or without the capabilities.
func checkProcess(pid int, own namespaces) error {
	its, err := namespacesOf(strconv.Itoa(pid))
	if err != nil {
		return fmt.Errorf("shows no namespaces: %w", err)
	}
	for i, kind := range kinds {
		if its[i] != own[i] {
			return fmt.Errorf("is in another namespace (%s) than the service", kind)
		}
	}
	var has [2]unix.CapUserData // the lower 32 capabilities, and the higher
	of := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: int32(pid)}
	if err := unix.Capget(&of, &has[0]); err != nil {
		return fmt.Errorf("does not show its capabilities: %w", err)
	}
	if has[0].Effective&needed != needed {
		return errors.New("lacks CAP_NET_ADMIN or CAP_SYS_ADMIN")
	}
	return nil
}

// kinds are the kinds of namespaces that a client shares with the service.
var kinds = [...]string{"pid", "user", "net"}

// namespaces are those of a process, of each of the kinds. A namespace is identified by the device
// and inode of its file (namespaces(7)).
type namespaces [len(kinds)]struct{ device, inode uint64 }

// namespacesOf returns the namespaces of a process. Its name is that in /proc: an ID, or "self".
func namespacesOf(process string) (all namespaces, err error) {
	for i, kind := range kinds {
		var st unix.Stat_t
		path := "/proc/" + process + "/ns/" + kind
		if err := unix.Stat(path, &st); err != nil {
			return all, &os.PathError{Op: "stat", Path: path, Err: err}
		}
		all[i].device, all[i].inode = uint64(st.Dev), st.Ino
	}
	return all, nil
}
