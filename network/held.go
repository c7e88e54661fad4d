package network

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// EachHeldNamespace is [EachNamespace], and continues with the namespaces that only an open
// file of a process holds, or a mount in the caller's mount namespace. It reads the names of
// all open files, which is slow. A namespace remains unseen if only a socket, or a mount in
// another mount namespace, holds it.
func EachHeldNamespace(look func(n *Namespace) (found bool, err error)) error {
	seen := make(map[string]bool)
	done := false
	err := EachNamespace(func(_ int, n *Namespace) (bool, error) {
		if name, err := n.linkText(); err == nil {
			seen[name] = true
		}
		found, err := look(n)
		done = found || err != nil
		return found, err
	})
	if done {
		return err
	}
	errs := []error{err}
	for _, path := range append(namespaceFiles(), namespaceMounts()...) {
		n, err := OpenPath(path)
		if err != nil {
			continue // closed since, or no network namespace
		}
		name, err := n.linkText()
		if err != nil || seen[name] {
			_ = n.Close() // the descriptor was only read
			continue
		}
		seen[name] = true
		if found, err := look(n); found || err != nil {
			return err
		}
	}
	return errors.Join(errs...)
}

// namespaceFiles returns the open files of all processes that are network namespaces, once
// for each namespace.
func namespaceFiles() (paths []string) {
	seen := make(map[string]bool)
	for _, pid := range ProcessIDs() {
		files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // the pattern is well formed
		for _, path := range files {
			name, err := os.Readlink(path)
			if err == nil && strings.HasPrefix(name, "net:[") && !seen[name] {
				seen[name] = true
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// NamespaceFiles returns the paths at which namespaces may be mounted: the files in the
// directories of ip-netns(8), CNI and docker, and the mounts in the caller's mount
// namespace.
func NamespaceFiles() (paths []string) {
	for _, pattern := range []string{"/run/netns/*", "/run/docker/netns/*"} {
		some, _ := filepath.Glob(pattern) // the pattern is well formed
		paths = append(paths, some...)
	}
	paths = append(paths, namespaceMounts()...)
	slices.Sort(paths)
	return slices.Compact(paths)
}

// namespaceMounts returns the places at which namespaces are mounted, as in /run/netns.
func namespaceMounts() (paths []string) {
	text, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(text)) { // proc_pid_mountinfo(5): root and mount point are fields 4 and 5
		fields := strings.Fields(line)
		if len(fields) > 4 && strings.HasPrefix(fields[3], "net:[") {
			paths = append(paths, fields[4])
		}
	}
	return paths
}
