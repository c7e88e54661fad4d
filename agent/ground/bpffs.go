package ground

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/bpf"

	"golang.org/x/sys/unix"
)

// LockBPFFS takes the lock of the one agent that owns the pinned objects under dir,
// whatever its state directory: two agents would remove each other's programs from the
// parents. It creates the directory. The lock is held as long as the file is open.
func LockBPFFS(dir string) (*os.File, error) {
	for {
		if err := onBPFFS(dir); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create the directory of pinned objects: %w", err)
		}
		f, err := os.Open(dir)
		if err != nil {
			return nil, fmt.Errorf("open the directory of pinned objects: %w", err)
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("directory of pinned objects %q: %w (pid %s); stop it, or start this one with another --bpffs",
				dir, ErrRunning, flockHolder(f))
		}
		if err == nil && StillAt(f, dir) {
			return f, nil
		}
		f.Close()
		if err != nil {
			return nil, err
		}
	}
}

// onBPFFS returns an error if dir is not, or would not be, on a BPF file system: on another
// one nothing can be pinned, so nothing should be created.
func onBPFFS(dir string) error {
	at := filepath.Clean(dir)
	for {
		var st unix.Statfs_t
		switch err := unix.Statfs(at, &st); {
		case errors.Is(err, fs.ErrNotExist) && filepath.Dir(at) != at:
			at = filepath.Dir(at)
		case err != nil:
			return fmt.Errorf("directory of pinned objects %q: %w", at, err)
		case st.Type != unix.BPF_FS_MAGIC:
			return fmt.Errorf("directory of pinned objects %q: %w", dir, bpf.ErrNotBPFFS)
		default:
			return nil
		}
	}
}

// StillAt reports whether the file at path is f. A purge removes the directory.
func StillAt(f *os.File, path string) bool {
	a, err1 := f.Stat()
	b, err2 := os.Stat(path)
	return err1 == nil && err2 == nil && os.SameFile(a, b)
}

// flockHolder returns the PID of the process that holds the lock on a file (/proc/locks,
// proc(5)).
func flockHolder(f *os.File) string {
	var st unix.Stat_t
	locks, err := os.Open("/proc/locks")
	if err != nil || unix.Fstat(int(f.Fd()), &st) != nil {
		return "unknown"
	}
	defer locks.Close()
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(st.Dev), unix.Minor(st.Dev), st.Ino)
	for lines := bufio.NewScanner(locks); lines.Scan(); {
		// A line of the file: "1: FLOCK ADVISORY WRITE pid device:inode start end".
		if field := strings.Fields(lines.Text()); len(field) >= 6 && field[1] == "FLOCK" && field[5] == file {
			return field[4]
		}
	}
	return "unknown"
}
