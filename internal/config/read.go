package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxFile bounds a file, in bytes: a network's with a thousand excluded addresses has about
// 20,000.
const maxFile = 1 << 20

// ErrUnsafe is wrapped for a file that users other than root can change although it controls
// actions of root.
var ErrUnsafe = errors.New("users other than root can change it")

// readRegular reads a regular file, or the target of a symbolic link to one. It never blocks, as
// opening a FIFO or reading a device may. As root it reads only files that no other user can
// change; it does not check the parent directories.
func readRegular(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // os adds O_CLOEXEC
	if err != nil {
		return nil, checkDangling(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file (mode %s)", path, info.Mode())
	}
	if err := checkOwner(path, info); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, fmt.Errorf("%q has %d bytes; at most %d are allowed", path, max(info.Size(), int64(len(data))), maxFile)
	}
	return data, err
}

// ErrDangling is wrapped for a symbolic link whose target does not exist. It is no
// fs.ErrNotExist, because an administrator who made the link does not expect the defaults.
var ErrDangling = errors.New("a symbolic link whose target does not exist")

// checkDangling returns err, or an error with ErrDangling if the file does not exist because a
// symbolic link, at its path or at a directory above, has no target.
func checkDangling(path string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for at := path; ; at = filepath.Dir(at) {
		info, failed := os.Lstat(at)
		switch {
		case failed == nil && info.Mode().Type() == fs.ModeSymlink && !fileExists(at):
			return fmt.Errorf("%q is %w; remove it, or create its target", at, ErrDangling)
		case failed == nil, at == filepath.Dir(at):
			return err
		}
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// checkOwner refuses, if run as root, a file that another user could have written.
func checkOwner(path string, info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	var why string
	switch {
	case os.Geteuid() != 0 || !ok:
		return nil
	case st.Uid != 0:
		why = fmt.Sprintf("belongs to user %d", st.Uid)
	case st.Mode&0o022 != 0:
		why = fmt.Sprintf("has mode %04o", st.Mode&0o7777)
	default:
		return nil
	}
	return fmt.Errorf("%[1]q %[2]s, so %[3]w; chown root: %[1]s && chmod go-w %[1]s", path, why, ErrUnsafe)
}
