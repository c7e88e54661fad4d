package resident

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// SocketName is the name of the socket in the directory of the state (client/client.c).
const SocketName = "hook.sock"

// Listen returns the socket that systemd passes (sd_listen_fds(3)), or else makes the one of a
// state directory. Only root may connect.
func Listen(stateDir string) (*os.File, error) {
	if os.Getenv("LISTEN_PID") == strconv.Itoa(os.Getpid()) {
		if n := os.Getenv("LISTEN_FDS"); n != "1" {
			return nil, fmt.Errorf("the service manager passed %s sockets; berth-hook takes one, of a stream", n)
		}
		const first = 3 // SD_LISTEN_FDS_START
		unix.CloseOnExec(first)
		return os.NewFile(first, SocketName), nil
	}
	if err := os.MkdirAll(stateDir, 0o711); err != nil {
		return nil, err
	}
	path := filepath.Join(stateDir, SocketName)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := bind(fd, path); err != nil {
		return nil, errors.Join(fmt.Errorf("make the socket %s: %w", path, err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), path), nil
}

// bind gives a socket its path, and listens. It removes the socket of an earlier process, and
// refuses one that a process listens on.
func bind(fd int, path string) error {
	at := &unix.SockaddrUnix{Name: path}
	probe, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(probe)
	if unix.Connect(probe, at) == nil {
		return errors.New("another process serves it; stop it first: systemctl stop berth-hook.socket berth-hook.service")
	}
	if err := unix.Unlink(path); err != nil && err != unix.ENOENT {
		return err
	}
	old := unix.Umask(0o177)
	err = unix.Bind(fd, at)
	unix.Umask(old)
	if err != nil {
		return err
	}
	return unix.Listen(fd, backlog)
}

// backlog is the number of clients that may wait. A client that the kernel refuses does the work itself.
const backlog = 512
