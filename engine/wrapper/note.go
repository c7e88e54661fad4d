package wrapper

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// notesName is the directory in STATE of the created containers that are attached when they
// are started. It belongs to root.
const notesName = "late"

// A note records that a container is attached when it is started, and by which hooks: a
// file of JSON, named by the runtime's directory of containers and by the container. It is
// removed when the container is attached.
type note struct {
	dir  string
	root string
	id   string
}

func (c *Call) newNote() *note {
	return &note{filepath.Join(c.Own.stateDir(), notesName), c.containersRoot(), c.ID}
}

// containersRoot returns the directory in which the runtime keeps one for each container.
func (c *Call) containersRoot() string {
	switch {
	case c.Root != "":
		if abs, err := filepath.Abs(c.Root); err == nil {
			return abs
		}
		return c.Root
	case readsByGetopt(c.Runtime):
		return "/run/crun"
	}
	return "/run/runc"
}

func escaper() *strings.Replacer   { return strings.NewReplacer("%", "%25", "/", "%2F", ":", "%3A") }
func unescaper() *strings.Replacer { return strings.NewReplacer("%25", "%", "%2F", "/", "%3A", ":") }

func (n *note) filePath() string {
	return filepath.Join(n.dir, escaper().Replace(n.root)+":"+escaper().Replace(n.id))
}

// writeHooks writes the note, and removes the notes of deleted containers.
func (n *note) writeHooks(hooks []hook) error {
	text, err := json.Marshal(hooks)
	if err == nil {
		err = n.makeDir()
	}
	if err == nil {
		n.sweepNotes()
		err = n.createFile(text)
	}
	if err != nil {
		return fmt.Errorf("write the note to attach container %q at its start: %w", n.id, err)
	}
	return nil
}

func (n *note) createFile(text []byte) error {
	f, err := os.OpenFile(n.filePath(), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// makeDir creates the directory, and refuses one that other users could write to.
func (n *note) makeDir() error {
	if err := os.MkdirAll(filepath.Dir(n.dir), 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(n.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := n.openDir()
	if err != nil {
		return err
	}
	return dir.Close()
}

// openDir opens the directory. It refuses a link, and a directory that another user could write to: a
// note names programs that this user runs.
func (n *note) openDir() (*os.File, error) {
	dir, err := os.OpenFile(n.dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := dir.Stat()
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	stat, err := statOf(info)
	if err == nil && (info.Mode().Perm()&0o022 != 0 || int(stat.Uid) != os.Geteuid()) {
		err = fmt.Errorf("directory %q: users other than root can change it; remove it", n.dir)
	}
	if err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// readHooks returns the hooks to run, or none if there is no note.
func (n *note) readHooks() (hooks []hook, err error) {
	text, err := n.readFile()
	if isNotMine(err) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &hooks)
	}
	if err != nil {
		return nil, fmt.Errorf("read the note of container %q: %w", n.id, err)
	}
	return hooks, nil
}

// readFile reads the note through the open directory, so that no other can take its place meanwhile.
func (n *note) readFile() ([]byte, error) {
	dir, err := n.openDir()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	path := n.filePath()
	fd, err := unix.Openat(int(dir.Fd()), filepath.Base(path), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	return io.ReadAll(f)
}

// isNotMine reports whether the error means that this user has no note, as it may not read
// root's.
func isNotMine(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
}

func (n *note) removeFile() error {
	if err := os.Remove(n.filePath()); err != nil && !isNotMine(err) {
		return fmt.Errorf("remove the note of container %q: %w", n.id, err)
	}
	return nil
}

// sweepAfter is the age at which a note belongs to a container that the runtime has
// deleted, not to one that it is about to create.
const sweepAfter = 10 * time.Minute

// sweepNotes removes the notes of containers that were deleted before they were started. Notes
// are few; a failed removal is retried the next time.
func (n *note) sweepNotes() {
	entries, err := os.ReadDir(n.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < sweepAfter {
			continue
		}
		root, id, _ := strings.Cut(e.Name(), ":")
		container := filepath.Join(unescaper().Replace(root), unescaper().Replace(id))
		if _, err := os.Lstat(container); errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(filepath.Join(n.dir, e.Name()))
		}
	}
}

// statOf returns the kernel's data of a file beyond [fs.FileInfo].
func statOf(info fs.FileInfo) (*syscall.Stat_t, error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("the owner of %q is unknown", info.Name())
	}
	return stat, nil
}
