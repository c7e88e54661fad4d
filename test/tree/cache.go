package tree

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"berth/internal/testnet"

	"golang.org/x/sys/unix"
)

// Cache returns the directory of all files that are kept between runs: BERTH_CACHE,
// or /var/cache/berth.
func Cache() string { return testnet.Cache() }

// lock opens a file and locks it, with unix.LOCK_SH or unix.LOCK_EX. Closing
// the file, or the end of the process, unlocks it.
func lock(name string, how int) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EINTR) {
			_ = f.Close()
			return nil, fmt.Errorf("lock %q: %w", name, err)
		}
	}
}

// scratch makes a directory for one run, locked while the run lives, and removes the
// directories of killed runs.
func scratch() (dir string, held *os.File, err error) {
	runs := filepath.Join(Cache(), "runs")
	guard, err := lock(filepath.Join(runs, "lock"), unix.LOCK_EX)
	if err != nil {
		return "", nil, err
	}
	defer guard.Close()
	old, err := filepath.Glob(filepath.Join(runs, "run-*"))
	if err != nil {
		return "", nil, err
	}
	for _, dir := range old {
		if f, err := lock(filepath.Join(dir, "lock"), unix.LOCK_EX|unix.LOCK_NB); err == nil {
			_ = os.RemoveAll(dir)
			_ = f.Close()
		}
	}
	if dir, err = os.MkdirTemp(runs, "run-"); err != nil {
		return "", nil, err
	}
	held, err = lock(filepath.Join(dir, "lock"), unix.LOCK_EX)
	return dir, held, err
}
