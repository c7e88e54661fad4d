package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A Wrapper is how an engine of a host runs berth-runtime in place of its
// runtime; the zero value is not to run it.
type Wrapper struct {
	Runtime string // that does the work: runc or crun, or the path of one
	Late    bool   // attach when the container is started
}

// Wrapper makes the program that an engine is to take for its runtime:
// berth-runtime with this host's directories. Most engines take a path there,
// and no flags. It is written once: it may be running.
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
