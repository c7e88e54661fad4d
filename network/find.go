package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// FindNamespace opens the network namespace with a cookie (SO_NETNS_COOKIE) by
// way of a process that is in it. Errors: [ErrNoNamespace] when no process is,
// which does not mean that the namespace is dead: a file may hold it.
func FindNamespace(cookie uint64) (*Namespace, error) {
	tasks, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, task := range tasks {
		name, err := os.Readlink(task + "/ns/net")
		if err != nil || seen[name] { // it ended, or its namespace was looked at
			continue
		}
		seen[name] = true
		pid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			continue
		}
		n, err := openIf(pid, cookie)
		if n != nil || err != nil {
			return n, err
		}
	}
	return nil, fmt.Errorf("find network namespace %016x: %w: no process is in it", cookie, ErrNoNamespace)
}

// openIf opens the namespace of a process if it has the cookie; nil otherwise.
func openIf(pid int, cookie uint64) (*Namespace, error) {
	n, err := OpenPID(pid)
	if errors.Is(err, ErrNoNamespace) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	got, err := n.Cookie()
	if err == nil && got == cookie {
		return n, nil
	}
	return nil, errors.Join(err, n.Close())
}
