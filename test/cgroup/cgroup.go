// Package cgroup puts all processes of a test's sandbox into a cgroup of their
// own, so that the groups that engines make are below it and are removed with it.
//
// [New] makes a [Group]; Assign starts a command in it.
//
// It sets no limits of resources.
package cgroup

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A Group is a cgroup of the unified hierarchy. If the machine has no unified
// hierarchy, it is the zero value, whose methods do nothing.
type Group struct {
	path string
	dir  *os.File
}

// New makes a cgroup named after a prefix and the pid of this process. It removes
// the groups that killed processes have left under the same prefix.
func New(prefix string) (*Group, error) {
	for _, m := range Mounts() {
		if m.Kind != "cgroup2" {
			continue
		}
		sweep(filepath.Join(m.At, prefix))
		path := filepath.Join(m.At, prefix+strconv.Itoa(os.Getpid()))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
		dir, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return &Group{path: path, dir: dir}, nil
	}
	return new(Group), nil
}

// Assign makes a process that is started with attr a member of the group.
func (g *Group) Assign(attr *syscall.SysProcAttr) {
	if g.dir != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.dir.Fd())
	}
}

// Remove removes the group and those below it. A group that still has a process
// stays; [New] removes it in a later run.
func (g *Group) Remove() {
	if g.dir != nil {
		_ = g.dir.Close()
		removeAll(g.path)
	}
}

// sweep removes the groups of a prefix whose processes have ended.
func sweep(prefix string) {
	old, _ := filepath.Glob(prefix + "*") // the pattern is sound
	for _, path := range old {
		if _, err := os.Stat("/proc/" + strings.TrimPrefix(path, prefix)); os.IsNotExist(err) {
			removeAll(path)
		}
	}
}

// removeAll removes empty groups, the innermost first. The kernel refuses to
// remove a group that has a process.
func removeAll(path string) {
	var dirs []string
	_ = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, p)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		_ = os.Remove(dirs[i])
	}
}

// A Mount is a mounted hierarchy of cgroups.
type Mount struct{ At, Kind, Options string }

// Mounts returns the mounted hierarchies of this process.
func Mounts() []Mount {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return parseMounts(string(text))
}

// parseMounts returns the hierarchies of a table of mounts: proc_pid_mountinfo(5),
// "… mount-point options … - type source super-options".
func parseMounts(table string) []Mount {
	var all []Mount
	for line := range strings.Lines(table) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) > 4 && len(right) > 2 && strings.HasPrefix(right[0], "cgroup") {
			options := strings.TrimPrefix(strings.TrimPrefix(right[2], "rw"), ",")
			all = append(all, Mount{left[4], right[0], options})
		}
	}
	return all
}
