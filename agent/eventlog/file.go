package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"berth/specs"

	"golang.org/x/sys/unix"
)

// File is a log of JSON lines. A full file is renamed: PATH.1 is the last full one, PATH.2
// the one before.
type File struct {
	path string
	size int64 // bytes from which on it is full
	keep int   // full files to keep

	file    *os.File // nil if not open
	written int64
}

// NewFile returns a log at a path. The file is created when the first event is written.
func NewFile(path string, size int64, keep int) *File {
	return &File{path: path, size: size, keep: keep}
}

// Write writes one event whole, or not at all: it truncates a line for which the disk had
// no room. If another program (logrotate) renamed or removed the file, it creates a new
// one.
func (f *File) Write(e *specs.Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encode an event: %w", err)
	}
	line = append(line, '\n')
	if err := f.makeReady(int64(len(line))); err != nil {
		return err
	}
	n, err := f.file.Write(line)
	if err != nil {
		return errors.Join(fmt.Errorf("write events to %q: %w", f.path, err), f.truncateLine(n), f.Close())
	}
	f.written += int64(n)
	return nil
}

// truncateLine truncates the last n bytes, the beginning of a line, from the file.
func (f *File) truncateLine(n int) error {
	if n == 0 {
		return nil
	}
	if err := f.file.Truncate(f.written); err != nil {
		return fmt.Errorf("truncate a half-written line: %w", err)
	}
	return nil
}

// makeReady opens or rotates the file so that it has room for a line.
func (f *File) makeReady(line int64) error {
	if f.file != nil && !f.isCurrent() {
		if err := f.Close(); err != nil {
			return err
		}
	}
	if f.file == nil {
		if err := f.openFile(); err != nil {
			return err
		}
	}
	if f.written == 0 || f.written+line <= f.size {
		return nil
	}
	if err := errors.Join(f.Close(), f.rotateFiles()); err != nil {
		return err
	}
	return f.openFile()
}

func (f *File) isCurrent() bool {
	now, err := os.Lstat(f.path)
	if err != nil {
		return false
	}
	own, err := f.file.Stat()
	return err == nil && os.SameFile(own, now)
}

// openFile opens the file for appending. It follows no symbolic link: in a directory that
// others can write, a link could lead anywhere.
func (f *File) openFile() error {
	const flags = os.O_RDWR | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	file, err := os.OpenFile(f.path, flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = createFile(f.path, flags)
	}
	if err != nil {
		return fmt.Errorf("open the events file: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%q is not a regular file", f.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open the events file: %w", err), file.Close())
	}
	f.file, f.written = file, info.Size()
	if err := f.endTornLine(); err != nil {
		return errors.Join(fmt.Errorf("end the last line of %q: %w", f.path, err), f.Close())
	}
	return nil
}

// endTornLine ends a line that a power loss has cut off, so that the next event has its own.
func (f *File) endTornLine() error {
	if f.written == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := f.file.ReadAt(last, f.written-1); err != nil || last[0] == '\n' {
		return err
	}
	n, err := f.file.Write([]byte{'\n'})
	f.written += int64(n)
	return err
}

// fileMode is the mode of a new events' file, regardless of the umask: the group may read it.
const fileMode = 0o640

// createFile creates a file that does not exist.
func createFile(path string, flags int) (*os.File, error) {
	file, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, err
	}
	if err := file.Chmod(fileMode); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// rotateFiles renames each full file to the next number, up to the first free one; the last file
// is removed. So a rotation that failed half-way loses none if it is retried.
func (f *File) rotateFiles() error {
	if f.keep == 0 {
		return wrapRotate(os.Remove(f.path))
	}
	free := 1
	for ; free < f.keep; free++ {
		if _, err := os.Lstat(f.numberedPath(free)); errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	for i := free - 1; i >= 0; i-- {
		if err := os.Rename(f.numberedPath(i), f.numberedPath(i+1)); err != nil {
			return wrapRotate(err)
		}
	}
	return nil
}

func wrapRotate(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("rotate the events file: %w", err)
}

func (f *File) numberedPath(i int) string {
	if i == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, i)
}

// Close closes the file; a later Write opens it again.
func (f *File) Close() error {
	if f.file == nil {
		return nil
	}
	err := f.file.Close()
	f.file = nil
	if err != nil {
		return fmt.Errorf("close the events file: %w", err)
	}
	return nil
}
