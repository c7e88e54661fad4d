// Package regular reads files that may be another program's, or named by a user. Such a path may lead
// to a FIFO, which blocks its reader, or to a device, which may have no end.
//
// [Read] reads a whole regular file of bounded size, [Open] opens one.
//
// It makes the system calls itself: os.File would register each file with Go's poller, which a start of a
// container needs for nothing else. It imports internal/early only.
package regular

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"berth/internal/early"
)

// ErrKind is wrapped for a path that is no regular file, nor a symbolic link to one.
var ErrKind = errors.New("not a regular file")

// ErrSize is wrapped for a file with more bytes than the caller accepts.
var ErrSize = errors.New("too large")

// Read returns the content of a regular file of at most limit bytes. It never blocks. Its errors name the
// path.
func Read(path string, limit int) ([]byte, error) {
	return ReadIf(path, limit, func(*unix.Stat_t) error { return nil })
}

// ReadIf is Read for a file that a check of its owner and mode accepts. The check is of the opened
// file, so the path may be renamed meanwhile.
func ReadIf(path string, limit int, check func(*unix.Stat_t) error) ([]byte, error) {
	fd, err := openRetry(path)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, kindError(path, st.Mode)
	}
	if err := check(&st); err != nil {
		return nil, err
	}
	data, err := readAll(fd, path, min(int(st.Size), limit), limit)
	if err == nil && len(data) > limit {
		return nil, fmt.Errorf("%q is %w: it has %d bytes; at most %d are allowed", path, ErrSize,
			max(st.Size, int64(len(data))), limit)
	}
	return data, err
}

func openRetry(path string) (fd int, err error) {
	for {
		fd, err = unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC|unix.O_NOCTTY, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

// Open opens a regular file as [os.OpenFile] does. It never blocks.
func Open(path string, flags int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flags|unix.O_NONBLOCK|unix.O_NOCTTY, mode)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(int(f.Fd()), &st); err == nil && st.Mode&unix.S_IFMT != unix.S_IFREG {
		err = kindError(path, st.Mode)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func kindError(path string, mode uint32) error {
	return fmt.Errorf("%q is %w, but %s", path, ErrKind, kindOf(mode))
}

// kindOf returns the term for a kind of file.
func kindOf(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return "a directory"
	case unix.S_IFIFO:
		return "a FIFO"
	case unix.S_IFCHR, unix.S_IFBLK:
		return "a device"
	}
	return fmt.Sprintf("of another kind (mode %s)", fs.FileMode(mode&0o7777))
}

// readAll reads a file of about that size to its end, or until it is longer than the limit.
func readAll(fd int, path string, size, limit int) ([]byte, error) {
	data := early.Make(size + 1)
	for len(data) <= limit {
		if len(data) == cap(data) {
			data = slices.Grow(data, max(len(data), 512)) // a file of procfs has size 0
		}
		n, err := unix.Read(fd, data[len(data):cap(data)])
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, &os.PathError{Op: "read", Path: path, Err: err}
		case n == 0:
			return data, nil
		}
		data = data[:len(data)+n]
	}
	return data, nil
}
