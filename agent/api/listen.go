package api

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
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
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("remove the socket of an earlier agent: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("create the agent's socket: %w", err)
	}
	if err := errors.Join(os.Chown(path, -1, gid), os.Chmod(path, mode)); err != nil {
		return nil, errors.Join(fmt.Errorf("set the owner and mode of the agent's socket: %w", err), l.Close())
	}
	return l, nil
}
