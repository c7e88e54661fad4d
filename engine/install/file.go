package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"berth/engine/edit"
)

// Content is what a path has. No Content is no file.
type Content struct {
	Text string
	Link bool // a symbolic link to Text
	Mode fs.FileMode
}

// sum tells one content from another.
func (c *Content) sum() string {
	if c == nil {
		return ""
	}
	sum := sha256.Sum256([]byte(fmt.Sprint(c.Link, "\x00", c.Text)))
	return hex.EncodeToString(sum[:])
}

func (c *Content) text() string {
	if c == nil {
		return ""
	}
	return c.Text
}

// File is one path that a plan looks at.
type File struct {
	Path    string
	Disk    *Content // as it is now
	Base    *Content // as it would be without this engine's berth
	After   *Content // as it is to be
	Format  edit.Format
	Changes []edit.Change // none: the whole file is berth's
	ours    bool          // berth has a part in it, or all
	shared  bool          // another engine's installation has put some of that there
	before  *Content      // where shared: as it was before that
}

// backup is what is kept of a file as it was.
func (f *File) backup() *Content {
	if f.shared {
		return f.before
	}
	return f.Base
}

// Changed reports whether anything is to be written.
func (f *File) Changed() bool { return f.Disk.sum() != f.After.sum() }

// Diff shows what is to be written, as diff -u does.
func (f *File) Diff() string {
	old, now := f.Path, f.Path
	if f.Disk == nil {
		old = ""
	}
	if f.After == nil {
		now = ""
	}
	return edit.Diff(old, now, f.Disk.shown(), f.After.shown())
}

// shown is a content for a diff, a link as git shows one.
func (c *Content) shown() string {
	if c != nil && c.Link {
		return "link to " + c.Text + "\n"
	}
	return c.text()
}

// maxLinks is how many links in a row are followed, as the kernel has it
// (MAXSYMLINKS, include/linux/namei.h).
const maxLinks = 40

// realPath is where a path leads to, also if nothing is there yet.
func realPath(path string) string {
	for range maxLinks {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return real
		}
		target, err := os.Readlink(path)
		if err != nil {
			return path
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(realPath(filepath.Dir(path)), target)
		}
		path = target
	}
	return path
}

// maxFile is how long a configuration file may be, in bytes.
const maxFile = 4 << 20

// readFile reads what a path has; following is for files of others, which may
// be links to where they are.
func readFile(path string, following bool) (*Content, error) {
	stat := os.Lstat
	if following {
		stat = os.Stat
	}
	info, err := stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := os.Readlink(path)
		return &Content{Text: target, Link: true}, err
	case !info.Mode().IsRegular() || info.Size() > maxFile:
		return nil, fmt.Errorf("%s has mode %s and %d bytes: want a regular file of at most %d", path, info.Mode(), info.Size(), maxFile)
	}
	data, err := os.ReadFile(path)
	return &Content{Text: string(data), Mode: info.Mode().Perm()}, err
}

// writeFile makes a path have a content, whole or not at all, with the owner
// that the file there has.
func writeFile(path string, c *Content) error {
	if c == nil {
		return os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	temporary, err := writeBeside(path, c)
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil && temporary != "" {
		err = errors.Join(err, os.Remove(temporary))
	}
	return err
}

// writeBeside makes a file that is to be renamed. Its name begins with a dot,
// so that no engine that reads the whole directory takes it for its own.
func writeBeside(path string, c *Content) (temporary string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".berth-*")
	if err != nil {
		return "", err
	}
	temporary = f.Name()
	if c.Link {
		return temporary, errors.Join(f.Close(), os.Remove(temporary), os.Symlink(c.Text, temporary))
	}
	_, err = f.WriteString(c.Text)
	err = errors.Join(err, f.Chmod(c.Mode), sameOwner(f, path), f.Sync(), f.Close())
	return temporary, err
}

// sameOwner gives a new file the owner of the one whose place it takes.
func sameOwner(f *os.File, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // there is none
	}
	uid, gid := ownerOf(info)
	if self, err := f.Stat(); err == nil {
		if u, g := ownerOf(self); u == uid && g == gid {
			return nil
		}
	}
	return f.Chown(uid, gid)
}
