package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockWait bounds the wait for the lock of the pinned objects. It is held for well under a
// millisecond, and the kernel frees it if its process dies.
const lockWait = 5 * time.Second

// withLock runs fn while no other process, and no other caller in this one, attaches to
// parents or changes their map entries: hook and agent do both, and a value of the map
// "parents" has members of either.
//
// It must not be called inside fn.
func (m *Maps) withLock(fn func() error) error {
	f, err := m.pins.lockDirectory()
	if m.owned && errors.Is(err, fs.ErrNotExist) {
		return fn() // the directory was removed: no other process finds the maps
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return fn()
}

// lockDirectory locks the directory until the file is closed. If the directory was replaced
// meanwhile, it locks the new one.
func (p pins) lockDirectory() (*os.File, error) {
	for end := time.Now().Add(lockWait); ; {
		f, err := os.Open(p.dir)
		if err != nil {
			return nil, fmt.Errorf("lock pinned objects: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil && p.isDirectory(f) {
			return f, nil
		}
		_ = f.Close()
		switch {
		case err == nil:
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("lock pinned objects: %w", err)
		case time.Now().After(end):
			return nil, fmt.Errorf("lock pinned objects: another process has held %q for %s: %w", p.dir, lockWait, err)
		default:
			time.Sleep(time.Millisecond)
		}
	}
}

// isDirectory reports whether an open directory is the one at the path.
func (p pins) isDirectory(f *os.File) bool {
	var st unix.Stat_t
	return unix.Fstat(int(f.Fd()), &st) == nil && st.Ino == p.inode()
}
