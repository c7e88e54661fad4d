package network

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Namespace is an open network namespace. The descriptor keeps it alive. Its methods
// may be called concurrently; Close must be the last call.
type Namespace struct {
	fd int

	mu     sync.Mutex
	handle *Handle // opened by the first Open
}

// OpenPID opens the network namespace of a process. A pidfd verifies that the ID was
// not reused by another process meanwhile. Errors: [ErrNoNamespace] if the process
// has ended.
func OpenPID(pid int) (*Namespace, error) {
	fail := func(err error) (*Namespace, error) {
		if errors.Is(err, unix.ESRCH) || errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%w: the process has ended", ErrNoNamespace)
		}
		return nil, fmt.Errorf("open network namespace of process %d: %w", pid, err)
	}
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fail(err)
	}
	defer unix.Close(pidfd)
	fd, err := openFile(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return fail(err)
	}
	if err := unix.PidfdSendSignal(pidfd, 0, nil, 0); err != nil {
		_ = unix.Close(fd)
		return fail(err)
	}
	return &Namespace{fd: fd}, nil
}

// OpenPath opens a network namespace by its path, as /run/netns/NAME. The error wraps
// fs.ErrNotExist if there is no file; another error is returned if it is not a
// network namespace.
func OpenPath(path string) (*Namespace, error) {
	fd, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("open network namespace: %w", err)
	}
	kind, err := unix.IoctlRetInt(fd, unix.NS_GET_NSTYPE)
	if err != nil || kind != unix.CLONE_NEWNET {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("open network namespace %q: not a network namespace", path)
	}
	return &Namespace{fd: fd}, nil
}

// openFile does not wait, as opening a FIFO may. It does not use os.File, which would create a
// poller and check whether the file can be polled.
func openFile(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// Current opens the namespace of the calling thread.
func Current() (*Namespace, error) {
	// /proc/self would be the process's first thread, in whichever namespace.
	return OpenPath("/proc/thread-self/ns/net")
}

// FD returns the descriptor, open until Close.
func (n *Namespace) FD() int { return n.fd }

// Close closes the descriptor and the handle of the namespace.
func (n *Namespace) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.handle != nil {
		n.handle.close()
	}
	if n.fd < 0 {
		return os.ErrClosed
	}
	err := unix.Close(n.fd)
	n.fd = -1
	return err
}

// Same reports whether both are one namespace. The result holds only while both are
// open: inode numbers are reused at once.
func (n *Namespace) Same(o *Namespace) (bool, error) {
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(n.FD(), &a), unix.Fstat(o.FD(), &b)); err != nil {
		return false, fmt.Errorf("compare network namespaces: %w", err)
	}
	return a.Dev == b.Dev && a.Ino == b.Ino, nil
}

// Cookie returns the kernel's number of the namespace, SO_NETNS_COOKIE, which is not
// reused until the machine restarts (net_gen_cookie in net/core/net_namespace.c).
func (n *Namespace) Cookie() (uint64, error) {
	h, err := n.Open()
	if err != nil {
		return 0, err
	}
	cookie, err := unix.GetsockoptUint64(h.fd(), unix.SOL_SOCKET, unix.SO_NETNS_COOKIE)
	if err != nil {
		return 0, explainCookie(err)
	}
	return cookie, nil
}

// explainCookie returns [ErrOldKernel] if the kernel does not know SO_NETNS_COOKIE.
func explainCookie(err error) error {
	if isErrno(err, unix.ENOPROTOOPT) {
		return fmt.Errorf("%w: %w", ErrOldKernel, err)
	}
	return fmt.Errorf("read cookie of network namespace: %w", err)
}

// CheckKernel returns [ErrOldKernel] if the kernel is too old for berth.
func CheckKernel() error {
	ns, err := Current()
	if err != nil {
		return err
	}
	defer ns.Close()
	_, err = ns.Cookie()
	return err
}

// Open returns an rtnetlink handle in the namespace. It is opened once and belongs to
// the namespace: Close of the handle does nothing, Close of the namespace closes it.
func (n *Namespace) Open() (*Handle, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.handle != nil {
		return n.handle, nil
	}
	s, err := openSocket(n.openSocket)
	if err != nil {
		return nil, err
	}
	n.handle = &Handle{socket: s, shared: true}
	return n.handle, nil
}
