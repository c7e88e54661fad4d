package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Wrapper defines how an engine runs berth-runtime in place of its runtime. The zero
// value does not run it.
type Wrapper struct {
	Runtime string // behind berth-runtime: runc, crun or a path
	Late    bool   // attach at the container's start
}

// Wrapper makes the program that an engine runs as its runtime: berth-runtime with this
// host's directories. Most engines accept only a path, without flags. It is written only
// once, because it may be running.
func (h *Host) Wrapper(w Wrapper) (path string, err error) {
	args := []string{filepath.Join(h.Bin, "berth-runtime"), "--berth-runtime", w.Runtime}
	for _, flag := range h.flags() {
		args = append(args, strings.Replace(flag, "--", "--berth-", 1))
	}
	name := "berth-" + filepath.Base(w.Runtime)
	if w.Late {
		name, args = name+"-late", append(args, "--berth-attach", "start")
	}
	path = filepath.Join(h.Dir, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\nexec %s \"$@\"\n", strings.Join(args, " ")), 0o755)
}
