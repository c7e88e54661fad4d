package wrapper

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/engine/program"
)

// runtimes lists the runtimes searched on PATH, in this order.
var runtimes = []string{"runc", "crun"}

// standardPath is used if there is no PATH: podman starts its runtime without an environment.
const standardPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// FindRuntime returns the path of the named runtime, or of the first one on PATH. It never
// returns this program under another name, which would run itself forever.
func FindRuntime(named string) (string, error) {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	path := os.Getenv("PATH")
	if path == "" {
		path = standardPath
	}
	if named != "" {
		return findNamed(named, path, self)
	}
	for _, name := range runtimes {
		for _, found := range onPath(name, path) {
			if !isSame(found, self) {
				return found, nil
			}
		}
	}
	return "", fmt.Errorf("none of the runtimes %q is on PATH %q; install one, or name it by --berth-runtime", runtimes,
		path)
}

func findNamed(named, path string, self fs.FileInfo) (string, error) {
	found := []string{named}
	if !strings.Contains(named, "/") {
		if found = onPath(named, path); len(found) == 0 {
			return named, fmt.Errorf("flag --berth-runtime: %q is not on PATH %q; give the path of a runtime", named, path)
		}
	}
	if err := checkProgram(found[0]); err != nil {
		return named, fmt.Errorf("flag --berth-runtime: %q: %w", named, err)
	}
	if isSame(found[0], self) {
		return named, fmt.Errorf("flag --berth-runtime: %q is berth-runtime itself; name the runtime that it runs", found[0])
	}
	return found[0], nil
}

// onPath returns the programs of a name in the directories of a PATH, in order. It skips
// directories without an absolute path, as the working directory would otherwise choose the
// program.
func onPath(name, path string) (all []string) {
	for _, dir := range filepath.SplitList(path) {
		if file := filepath.Join(dir, name); filepath.IsAbs(file) && checkProgram(file) == nil {
			all = append(all, file)
		}
	}
	return all
}

func checkProgram(path string) error {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0) {
		err = errors.New("it is not a program")
	}
	return err
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
	// A link to this program is resolved to the place of installation.
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	path := filepath.Join(filepath.Dir(self), program.Hook)
	if err := checkProgram(path); err != nil {
		return "", fmt.Errorf("find %s beside berth-runtime: %q: %w", program.Hook, path, err)
	}
	return path, nil
}
