package resident

import (
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
	its, err := namespacesOf(strconv.Itoa(int(peer.Pid)))
	if err != nil {
		return 0, fmt.Errorf("the client with process id %d: %w", peer.Pid, err)
	}
	for i, kind := range kinds {
		if its[i] != own[i] {
			return 0, fmt.Errorf("the client with process id %d is in another namespace (%s) than the service", peer.Pid, kind)
		}
	}
	var has [2]unix.CapUserData // the lower 32 capabilities, and the higher
	of := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: peer.Pid}
	if err := unix.Capget(&of, &has[0]); err != nil {
		return 0, fmt.Errorf("read the capabilities of the client with process id %d: %w", peer.Pid, err)
	} else if has[0].Effective&needed != needed {
		return 0, fmt.Errorf("the client with process id %d lacks CAP_NET_ADMIN or CAP_SYS_ADMIN", peer.Pid)
	}
	return int(peer.Pid), nil
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
