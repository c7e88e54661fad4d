package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"berth/internal/regular"
)

// maxFile bounds a file, in bytes: a network's with a thousand excluded addresses has about
// 20,000.
const maxFile = 1 << 20

// ErrUnsafe is wrapped for a file or directory that users other than root can change although it
// controls actions of root.
var ErrUnsafe = errors.New("users other than root can change it")

// readRegular reads a regular file, or the target of a symbolic link to one. As root it reads only files
// that no other user can change; [checkDir] does the same for a directory.
func readRegular(path string) ([]byte, error) {
	data, err := regular.ReadIf(path, maxFile, func(st *unix.Stat_t) error { return checkOwner(path, st) })
	return data, checkDangling(path, err)
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

// checkDir refuses, if run as root, a configuration directory in which another user can remove, rename or
// replace files: a renamed file of root's would be accepted as another network. Of a symbolic link it
// checks the target. It does not check the directories above, nor those of files that are symbolic links.
func checkDir(path string) error {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return nil // the error of reading it says more
	}
	if err := checkOwner(path, &st); err != nil {
		return fmt.Errorf("directory %w", err)
	}
	return nil
}

// checkOwner refuses, if run as root, a file or directory that another user could have written.
func checkOwner(path string, st *unix.Stat_t) error {
	if os.Geteuid() != 0 {
		return nil
	}
	why := UnsafeReason(path, st)
	if why == "" {
		return nil
	}
	return fmt.Errorf("%[1]q %[2]s, so %[3]w; chown root: %[1]s && chmod go-w %[1]s", path, why, ErrUnsafe)
}

// UnsafeReason returns why users other than root could change a file, or remove and create files in a
// directory, or "" if they cannot. A directory on a read-only mount is safe: the volume of a ConfigMap in
// Kubernetes is one, of mode 0777.
func UnsafeReason(path string, st *unix.Stat_t) (why string) {
	switch {
	case st.Uid != 0:
		why = fmt.Sprintf("belongs to user %d", st.Uid)
	case st.Mode&0o022 != 0:
		why = fmt.Sprintf("has mode %04o", st.Mode&0o7777)
	default:
		return ""
	}
	var fs unix.Statfs_t
	if st.Mode&unix.S_IFMT == unix.S_IFDIR && unix.Statfs(path, &fs) == nil && fs.Flags&unix.ST_RDONLY != 0 {
		return ""
	}
	return why
}
