package state

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Permissions of STATE, which contains the agent's socket, and of STATE/state, which
// contains the database.
const (
	modeOuter = 0o711
	modeInner = 0o700
)

// directory is an open directory; files in it are opened relative to it and never
// through a symbolic link.
type directory struct {
	fd   int
	path string
}

// openDirectory opens path. If mode is not 0 and the directory does not exist, it is
// made with exactly that mode, regardless of the umask.
func openDirectory(at int, name, path string, mode uint32) (*directory, error) {
	fd, err := unix.Openat(at, name, directoryFlags, 0)
	if err == unix.ENOENT && mode != 0 {
		if err := makeDirectory(at, name, mode); err != nil {
			return nil, fmt.Errorf("make directory %q: %w", path, err)
		}
		fd, err = unix.Openat(at, name, directoryFlags, 0)
	}
	if err == unix.ELOOP || err == unix.ENOTDIR {
		return nil, fmt.Errorf("open directory %q: %w: it is %s", path, ErrUnsafe, kindAt(at, name))
	}
	if err != nil {
		return nil, fmt.Errorf("open directory %q: %w", path, err)
	}
	if err := checkDirectory(fd); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open directory %q: %w", path, err)
	}
	return &directory{fd: fd, path: path}, nil
}

// kindAt describes a path that is no directory, with the remedy.
func kindAt(at int, name string) string {
	var st unix.Stat_t
	if unix.Fstatat(at, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFLNK {
		return "a symbolic link; use the path of its target"
	}
	return "no directory; remove it, or use another path"
}

const directoryFlags = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

func makeDirectory(at int, name string, mode uint32) error {
	err := unix.Mkdirat(at, name, mode)
	if err == unix.EEXIST {
		return nil
	}
	if err != nil {
		return err
	}
	fd, err := unix.Openat(at, name, directoryFlags, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Fchmod(fd, mode)
}

// checkDirectory refuses a directory in which another user could have placed files.
func checkDirectory(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Uid != uint32(os.Geteuid()) {
		return fmt.Errorf("%w: it belongs to user %d", ErrUnsafe, st.Uid)
	}
	if st.Mode&0o022 != 0 {
		return fmt.Errorf("%w: its mode is %04o", ErrUnsafe, st.Mode&0o7777)
	}
	return nil
}

// open opens a file in the directory, not through a symbolic link.
func (d *directory) open(name string, flag int, perm os.FileMode) (*os.File, error) {
	fd, err := d.openFD(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), d.path+"/"+name), nil
}

// openFD is open without an os.File.
func (d *directory) openFD(name string, flag int, perm os.FileMode) (fd int, err error) {
	fd, err = unix.Openat(d.fd, name, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err != nil {
		return -1, &os.PathError{Op: "open", Path: d.path + "/" + name, Err: err}
	}
	return fd, nil
}

// fileID distinguishes a file from others with its name; the zero value is no file.
type fileID struct{ dev, ino uint64 }

func (d *directory) idOf(name string) fileID {
	var st unix.Stat_t
	if unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return fileID{}
	}
	return fileID{uint64(st.Dev), st.Ino}
}

func (d *directory) rename(from, to string) error {
	if err := unix.Renameat(d.fd, from, d.fd, to); err != nil {
		return &os.LinkError{Op: "rename", Old: d.path + "/" + from, New: to, Err: err}
	}
	return nil
}

// remove removes a file; it succeeds if there is none.
func (d *directory) remove(name string) error {
	if err := unix.Unlinkat(d.fd, name, 0); err != nil && err != unix.ENOENT {
		return &os.PathError{Op: "remove", Path: d.path + "/" + name, Err: err}
	}
	return nil
}

func (d *directory) Close() error { return unix.Close(d.fd) }
