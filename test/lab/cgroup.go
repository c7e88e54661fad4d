package lab

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// groupPrefix names the cgroups of isolated spaces: the prefix and the pid of
// the process that started it.
const groupPrefix = "berth-lab-"

// cgroup is where all processes of an isolated space are in the unified
// hierarchy, so that the groups that engines make stand below it. Without a
// unified hierarchy it is the zero value.
type cgroup struct {
	path string
	dir  *os.File
}

func newCgroup() (*cgroup, error) {
	root := unifiedRoot()
	if root == "" {
		return new(cgroup), nil
	}
	sweep(root)
	path := filepath.Join(root, groupPrefix+strconv.Itoa(os.Getpid()))
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &cgroup{path: path, dir: dir}, nil
}

func (g *cgroup) fd() int {
	if g.dir == nil {
		return 0
	}
	return int(g.dir.Fd())
}

// remove takes the group away with all below it. A group that still has a
// process that is just ending stays, and is swept by the next run.
func (g *cgroup) remove() {
	if g.dir != nil {
		_ = g.dir.Close()
		removeGroup(g.path)
	}
}

// sweep removes the groups of runs that were killed.
func sweep(root string) {
	old, _ := filepath.Glob(filepath.Join(root, groupPrefix+"*"))
	for _, path := range old {
		pid := strings.TrimPrefix(filepath.Base(path), groupPrefix)
		if _, err := os.Stat(filepath.Join("/proc", pid)); os.IsNotExist(err) {
			removeGroup(path)
		}
	}
}

// removeGroup removes empty groups, the innermost first; the kernel refuses
// one that is in use.
func removeGroup(path string) {
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

// unifiedRoot finds where the cgroup v2 hierarchy is mounted, "" if nowhere.
func unifiedRoot() string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		// proc_pid_mountinfo(5): … mount-point options … - type source …
		before, after, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if strings.HasPrefix(after, "cgroup2 ") && len(fields) > 4 {
			return fields[4]
		}
	}
	return ""
}
