package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Listen creates the agent's socket at path, for root alone or, if group is not "", for
// that group too. It replaces the socket of an earlier agent, so the caller must have
// checked that none runs.
//
// It sets the process's umask for a moment: call it before anything else creates files.
func Listen(path, group string) (net.Listener, error) {
	gid, mode := -1, fs.FileMode(0o600)
	if group != "" {
		g, err := user.LookupGroup(group)
		if err != nil {
			return nil, fmt.Errorf("socket_group under [agent] in berth.toml: %w", err)
		}
		if gid, err = strconv.Atoi(g.Gid); err != nil {
			return nil, fmt.Errorf("socket_group under [agent] in berth.toml: number of group %q: %w", group, err)
		}
		mode = 0o660
	}
	l, err := listenAlone(path)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chown(path, -1, gid), os.Chmod(path, mode)); err != nil {
		return nil, errors.Join(fmt.Errorf("set the owner and mode of the agent's socket: %w", err), l.Close())
	}
	return l, nil
}

// listenAlone replaces a socket by one that only its owner may use.
func listenAlone(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of an earlier agent: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("create the agent's socket: %w", err)
	}
	return l, nil
}

// ListenView creates the socket for views at path, for which [Server.ServeView] answers. Any
// user may use the socket, but only root passes the directory two levels above it. Like
// Listen, it sets the process's umask for a moment.
func ListenView(path string) (net.Listener, error) {
	inner := filepath.Dir(path)
	for dir, mode := range map[string]fs.FileMode{filepath.Dir(inner): 0o700, inner: 0o755} {
		if err := errors.Join(os.MkdirAll(dir, mode), os.Chmod(dir, mode)); err != nil {
			return nil, fmt.Errorf("create the directory of the socket for views: %w", err)
		}
	}
	l, err := listenAlone(path)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // the file may be another agent's by then
	if err := os.Chmod(path, 0o666); err != nil {
		return nil, errors.Join(fmt.Errorf("set the mode of the socket for views: %w", err), l.Close())
	}
	return l, nil
}
