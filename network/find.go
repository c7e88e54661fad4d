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
func FindNamespace(cookie uint64) (found *Namespace, err error) {
	err = eachNamespace(func(_ int, n *Namespace) (bool, error) {
		got, err := n.Cookie()
		if err != nil || got != cookie {
			return false, errors.Join(err, n.Close())
		}
		found = n
		return true, nil
	})
	if found == nil && err == nil {
		err = fmt.Errorf("find network namespace %016x: %w: no process is in it", cookie, ErrNoNamespace)
	}
	return found, err
}

// eachNamespace calls a function with every network namespace that a process is
// in, and with one such process, until it has found what it looks for. The
// function closes the namespace.
func eachNamespace(look func(pid int, n *Namespace) (found bool, err error)) error {
	tasks, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return err
	}
	seen := make(map[string]bool)
	for _, task := range tasks {
		name, err := os.Readlink(task + "/ns/net")
		if err != nil || seen[name] { // it ended, or its namespace was looked at
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(task))
		if err != nil {
			continue
		}
		n, err := OpenPID(pid)
		if errors.Is(err, ErrNoNamespace) {
			continue
		}
		if err != nil {
			return err
		}
		seen[name] = true
		if found, err := look(pid, n); found || err != nil {
			return err
		}
	}
	return nil
}
