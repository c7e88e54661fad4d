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

// FindNamespace opens the network namespace with a cookie (SO_NETNS_COOKIE) through a process in
// it. Errors: [ErrNoNamespace] if no process is in it. The namespace may still exist: a file may
// hold it.
func FindNamespace(cookie uint64) (*Namespace, error) {
	return findIn(cookie, "it has no process", func(look func(*Namespace) (bool, error)) error {
		return EachNamespace(func(_ int, n *Namespace) (bool, error) { return look(n) })
	})
}

// FindHeldNamespace is [FindNamespace], and finds also a namespace without a process that a file
// or mount holds (see [EachHeldNamespace]).
func FindHeldNamespace(cookie uint64) (*Namespace, error) {
	found, err := FindNamespace(cookie)
	if err == nil {
		return found, nil
	}
	return findIn(cookie, "neither a process nor a file holds it", EachHeldNamespace)
}

// findIn returns the namespace with a cookie among those that each calls a function with. Errors:
// [ErrNoNamespace], with the reason, if it is none of them.
func findIn(cookie uint64, why string,
	each func(look func(*Namespace) (bool, error)) error) (found *Namespace, err error) {
	err = each(func(n *Namespace) (bool, error) {
		got, err := n.Cookie()
		if err != nil || got != cookie {
			return false, errors.Join(err, n.Close())
		}
		found = n
		return true, nil
	})
	if found == nil && err == nil {
		err = fmt.Errorf("find network namespace %016x: %w: %s", cookie, ErrNoNamespace, why)
	}
	return found, err
}

// FindVisibleNamespace is [FindNamespace], and finds also a namespace that [OpenMounted] finds. It is
// faster than [FindHeldNamespace], which reads the names of all open files.
func FindVisibleNamespace(cookie uint64) (*Namespace, error) {
	found, err := FindNamespace(cookie)
	if err == nil {
		return found, nil
	}
	if mounted, err := OpenMounted(cookie); err == nil {
		return mounted, nil
	}
	return nil, err
}

// OpenMounted opens the network namespace with a cookie at a path of [NamespaceFiles], where CNI,
// podman and docker mount it. In a pod without the host's processes no other way leads there.
// Errors: [ErrNoNamespace].
func OpenMounted(cookie uint64) (*Namespace, error) {
	for _, path := range NamespaceFiles() {
		n, err := OpenPath(path)
		if err != nil {
			continue // it ends, or is no namespace
		}
		if got, err := n.Cookie(); err == nil && got == cookie {
			return n, nil
		}
		_ = n.Close() // another one
	}
	return nil, fmt.Errorf("network namespace %016x: %w: no process is in it", cookie, ErrNoNamespace)
}

// EachNamespace calls look with every network namespace that has a process, and with the lowest
// ID of such a process, until look returns found or an error. look closes the namespace. A
// namespace that cannot be opened is skipped; its error is returned if nothing was found.
func EachNamespace(look func(pid int, n *Namespace) (found bool, err error)) error {
	var errs []error
	seen := make(map[string]bool)
	for _, pid := range ProcessIDs() {
		name, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
		if err != nil || seen[name] { // the process ended, or its namespace was visited
			continue
		}
		n, err := OpenPID(pid)
		if err == nil {
			name, err = n.linkText() // the process may have entered another one since
		}
		switch {
		case errors.Is(err, ErrNoNamespace):
			continue
		case err != nil:
			errs = append(errs, err)
			continue
		case seen[name]:
			_ = n.Close() // the descriptor was only read
			continue
		}
		seen[name] = true
		if found, err := look(pid, n); found || err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// ProcessIDs returns the IDs of all processes in ascending order: a container's first process
// usually has its lowest ID.
func ProcessIDs() (pids []int) {
	names, _ := filepath.Glob("/proc/[1-9]*") // the pattern is well formed
	for _, name := range names {
		if pid, err := strconv.Atoi(filepath.Base(name)); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	return pids
}

// linkText returns the link text of /proc/PID/ns/net of a process in the namespace. It closes the
// namespace on error.
func (n *Namespace) linkText() (string, error) {
	var st unix.Stat_t
	if err := unix.Fstat(n.FD(), &st); err != nil {
		return "", errors.Join(fmt.Errorf("identify network namespace: %w", err), n.Close())
	}
	return fmt.Sprintf("net:[%d]", st.Ino), nil
}
