package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// FindNamespace opens the network namespace with a cookie (SO_NETNS_COOKIE) by
// way of a process that is in it. Errors: [ErrNoNamespace] when no process is,
// which does not mean that the namespace is dead: a file may hold it.
func FindNamespace(cookie uint64) (found *Namespace, err error) {
	err = EachNamespace(func(_ int, n *Namespace) (bool, error) {
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

// EachNamespace calls a function with every network namespace that a process is
// in, and with the lowest id of such a process, until it has found what it looks
// for. The function closes the namespace. What cannot be opened is left out, and
// is the error if nothing was found.
func EachNamespace(look func(pid int, n *Namespace) (found bool, err error)) error {
	var errs []error
	seen := make(map[string]bool)
	for _, pid := range processes() {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || seen[name] { // it ended, or its namespace was looked at
			continue
		}
		n, err := OpenPID(pid)
		if err == nil {
			name, err = n.name() // it may have gone to another one since
		}
		switch {
		case errors.Is(err, ErrNoNamespace):
			continue
		case err != nil:
			errs = append(errs, err)
			continue
		case seen[name]:
			_ = n.Close() // it was only looked at
			continue
		}
		seen[name] = true
		if found, err := look(pid, n); found || err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// processes returns the ids of all processes, in their order: a container's
// first is mostly its lowest.
func processes() (pids []int) {
	names, _ := filepath.Glob("/proc/[1-9]*") // the pattern is well formed
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// name is what /proc/PID/ns/net of a process in the namespace reads.
func (n *Namespace) name() (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(n.FD(), &st); err != nil {
		return "", errors.Join(fmt.Errorf("look at network namespace: %w", err), n.Close())
	}
	return fmt.Sprintf("net:[%d]", st.Ino), nil
}
