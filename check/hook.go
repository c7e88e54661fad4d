package check

import (
	"os"
	"path/filepath"
	"strings"
)

// Hook is a berth-hook or its client, which run as root with containers.
type Hook struct {
	Path  string
	Named string // the file that names it; "" if found beside berth or on PATH
	File
	Above []File // the directories above it
}

// gatherHookFiles returns the hooks that engines name, or else the one that would be found.
func (c *Checker) gatherHookFiles(all []Engine) (hooks []Hook) {
	seen := make(map[string]bool)
	for _, e := range all {
		for _, h := range e.Hooks {
			if seen[h.Hook] {
				continue
			}
			seen[h.Hook] = true
			hooks = append(hooks, c.examineHook(h.Hook, h.File))
			if dir, isClient := strings.CutSuffix(h.Hook, "/berth-hook-client"); isClient {
				hooks = append(hooks, c.examineHook(dir+"/berth-hook", h.Hook)) // which the client executes
			}
		}
	}
	if len(hooks) > 0 {
		return hooks
	}
	dirs := c.Path
	if self, err := os.Executable(); err == nil {
		dirs = append([]string{filepath.Dir(self)}, dirs...)
	}
	for _, dir := range dirs {
		if path := filepath.Join(dir, "berth-hook"); examineFile(path).Exec {
			return []Hook{c.examineHook(path, "")}
		}
	}
	return nil
}

// examineHook examines a program and all directories above it, with links resolved.
func (c *Checker) examineHook(path, named string) Hook {
	h := Hook{Path: path, Named: named, File: examineFile(path)}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return h // File has the reason
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		h.Above = append(h.Above, examineAbove(dir))
		if dir == filepath.Dir(dir) {
			return h
		}
	}
}

const installHook = "`install -o root -g root -m 0755 berth-hook /usr/local/bin/berth-hook`"

func judgeHooks(r *report, hooks []Hook) {
	if len(hooks) == 0 {
		r.addWarn("berth-hook", installHook, "it is neither beside berth nor on PATH")
	}
	for _, h := range hooks {
		judgeHook(r, h)
	}
}

func judgeHook(r *report, h Hook) {
	const check = "berth-hook"
	const remedy = "name a berth-hook that only root can change; this installs one: " + installHook
	switch {
	case !strings.HasPrefix(h.Path, "/"):
		r.addFail(check, "name it by its absolute path", "%s names %q", h.Named, h.Path)
		return
	case h.Err != nil:
		r.addWarn(check, "run it as root", "not checked: %v", h.Err)
		return
	case !h.Exists:
		r.addFail(check, remedy, "%s names %s, which does not exist: no container with berth's annotations starts", h.Named,
			h.Path)
		return
	case !h.Exec:
		r.addFail(check, commandText("chmod 0755 %s", h.Path), "%s cannot be executed", h.Path)
		return
	}
	for _, f := range append([]File{h.File}, h.Above...) {
		if f.Unsafe != "" {
			r.addFail(check, remedy, "%s %s, so users other than root can change %s, which runs as root",
				f.Path, f.Unsafe, h.Path)
			return
		}
	}
	r.addPass(check, "%s; only root can change it", h.Path)
}

// judgeRuntimes checks for an OCI runtime, which runs the hooks.
func judgeRuntimes(r *report, found []string) {
	if len(found) == 0 {
		r.addWarn("runtime", "install runc or crun", "neither runc nor crun is on PATH")
		return
	}
	r.addPass("runtime", "%s", strings.Join(found, ", "))
}
