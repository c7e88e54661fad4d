package network

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownNamespace is the path of the calling thread's network namespace, for the kernel.
var ownNamespace = unsafe.StringData("/proc/thread-self/ns/net\x00")

// noReturn is written to standard error if a thread cannot return to its namespace.
const noReturn = "berth: setns: a thread cannot return to its network namespace; the process ends\n"

// Failures of callIn, apart from those of the call.
const (
	failedBlock = iota + 1
	failedOpen
	failedEnter
)

// callIn makes one system call on the calling thread in the namespace fd. It needs no thread of
// its own, unlike [Namespace.Do]: nothing can move the goroutine to another thread meanwhile. All
// signals are blocked, which are how Go's runtime interrupts a goroutine, and no function is
// called in which a goroutine can be suspended or its stack can grow. The call must not block.
//
// The result is -1 if a call failed. If the thread cannot return to its namespace, the process
// ends: the kernel refuses it only without memory, and another goroutine must not run in the wrong
// namespace.
//
//go:uintptrescapes
//go:norace
//go:nosplit
func callIn(fd int, trap, a1, a2, a3, a4 uintptr) (result uintptr, failed int, errno unix.Errno) {
	blocked, before := ^uint64(0), uint64(0)
	if _, _, errno = unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&blocked)),
		uintptr(unsafe.Pointer(&before)), unsafe.Sizeof(before), 0, 0); errno != 0 {
		return ^uintptr(0), failedBlock, errno
	}
	result = ^uintptr(0)
	here := unix.AT_FDCWD
	home, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(ownNamespace)),
		unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		failed = failedOpen
	} else if _, _, errno = unix.RawSyscall(unix.SYS_SETNS, uintptr(fd), unix.CLONE_NEWNET, 0); errno != 0 {
		failed = failedEnter
	} else {
		result, _, errno = unix.RawSyscall6(trap, a1, a2, a3, a4, 0, 0)
		if _, _, lost := unix.RawSyscall(unix.SYS_SETNS, home, unix.CLONE_NEWNET, 0); lost != 0 {
			unix.RawSyscall(unix.SYS_WRITE, 2, uintptr(unsafe.Pointer(unsafe.StringData(noReturn))), uintptr(len(noReturn)))
			unix.RawSyscall(unix.SYS_EXIT_GROUP, 1, 0, 0)
		}
	}
	if failed != failedOpen {
		unix.RawSyscall(unix.SYS_CLOSE, home, 0, 0)
	}
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(&before)), 0,
		unsafe.Sizeof(before), 0, 0)
	return result, failed, errno
}

// explainCall returns the error of callIn.
func explainCall(name string, failed int, errno unix.Errno) error {
	switch {
	case failed == failedBlock:
		return os.NewSyscallError("block signals: rt_sigprocmask", errno)
	case failed == failedOpen:
		return &os.PathError{Op: "open network namespace", Path: "/proc/thread-self/ns/net", Err: errno}
	case failed == failedEnter:
		return os.NewSyscallError("enter network namespace: setns", errno)
	case errno != 0:
		return os.NewSyscallError(name, errno)
	}
	return nil
}

// openSocket creates a socket in the namespace. The caller holds the lock.
func (n *Namespace) openSocket(family, kind, protocol int) (int, error) {
	fd, failed, errno := callIn(n.fd, unix.SYS_SOCKET, uintptr(family), uintptr(kind), uintptr(protocol), 0)
	return int(fd), explainCall("socket", failed, errno)
}

// openFile opens a file below /proc/sys/net of the namespace. It stays a file of the namespace.
// The caller holds the lock.
func (n *Namespace) openFile(path string, flags int) (int, error) {
	text, err := unix.BytePtrFromString(path)
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: path, Err: err}
	}
	here := unix.AT_FDCWD
	fd, failed, errno := callIn(n.fd, unix.SYS_OPENAT, uintptr(here), uintptr(unsafe.Pointer(text)), uintptr(flags), 0)
	if failed == 0 && errno != 0 {
		return -1, errno
	}
	return int(fd), explainCall("open", failed, errno)
}
