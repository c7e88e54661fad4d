package wrapper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
)

// runtimes are looked for on PATH in this order.
var runtimes = []string{"runc", "crun"}

// FindRuntime returns the path of the runtime that was named, or of the first
// one on PATH. It is never this program under another name: that would run
// itself forever.
func FindRuntime(named string) (string, error) {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	if named != "" {
		path, err := exec.LookPath(named)
		if err != nil {
			return named, fmt.Errorf("flag --berth-runtime: %q: %w", named, err)
		}
		if isSame(path, self) {
			return path, fmt.Errorf("flag --berth-runtime: %q is berth-runtime itself: want the runtime that does the work", path)
		}
		return path, nil
	}
	for _, name := range runtimes {
		if path, err := exec.LookPath(name); err == nil && !isSame(path, self) {
			return path, nil
		}
	}
	return "", fmt.Errorf("find a runtime: none of %q on PATH: install one, or name it by --berth-runtime", runtimes)
}

func isSame(path string, self fs.FileInfo) bool {
	info, err := os.Stat(path)
	return err == nil && os.SameFile(info, self)
}

// findHook returns the path of berth-hook, which is beside this program.
func findHook() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	// A link to this program leads to where it is installed.
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), hookName)
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0) {
		err = errors.New("it is not a program")
	}
	if err != nil {
		return "", fmt.Errorf("find %s beside berth-runtime: %q: %w", hookName, path, err)
	}
	return path, nil
}
