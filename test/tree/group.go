package tree

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// A group is the cgroup of a sandbox in the unified hierarchy, so that the
// groups that are made in the sandbox are below it, and are removed with it.
// Without a unified hierarchy it is the zero value.
type group struct {
	path string
	dir  *os.File
}

// groupPrefix and the pid of the process that made it are a group's name.
const groupPrefix = "berth-tree-"

func newGroup() (*group, error) {
	for _, m := range cgroupMounts() {
		if m.kind != "cgroup2" {
			continue
		}
		sweepGroups(m.at)
		path := filepath.Join(m.at, groupPrefix+strconv.Itoa(os.Getpid()))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
		dir, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return &group{path: path, dir: dir}, nil
	}
	return new(group), nil
}

func (g *group) start(attr *syscall.SysProcAttr) {
	if g.dir != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(g.dir.Fd())
	}
}

func (g *group) remove() {
	if g.dir != nil {
		_ = g.dir.Close()
		removeGroups(g.path)
	}
}

// sweepGroups removes the groups of runs that were killed.
func sweepGroups(root string) {
	old, _ := filepath.Glob(filepath.Join(root, groupPrefix+"*"))
	for _, path := range old {
		if !exists("/proc/" + strings.TrimPrefix(filepath.Base(path), groupPrefix)) {
			removeGroups(path)
		}
	}
}

// removeGroups removes empty groups, the innermost first. The kernel refuses
// one that is in use, which the next run sweeps.
func removeGroups(path string) {
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

// A cgroupMount is where a hierarchy is mounted.
type cgroupMount struct{ at, kind, options string }

// cgroupMounts returns the mounted hierarchies: proc_pid_mountinfo(5),
// "… mount-point options … - type source super-options".
func cgroupMounts() []cgroupMount {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var all []cgroupMount
	for line := range strings.Lines(string(text)) {
		before, after, _ := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if len(left) > 4 && len(right) > 2 && strings.HasPrefix(right[0], "cgroup") {
			options := strings.TrimPrefix(strings.TrimPrefix(right[2], "rw"), ",")
			all = append(all, cgroupMount{left[4], right[0], options})
		}
	}
	return all
}
