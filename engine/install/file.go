package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"berth/engine/edit"
	"berth/engine/program"
	"berth/internal/config"
	"berth/internal/regular"
)

// Content is the content of a path; nil means that there is no file.
type Content struct {
	Text string
	Link bool // a symbolic link to Text
	Mode fs.FileMode
}

// sum returns a hash of the content.
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

// File is one path of a plan.
type File struct {
	Path    string
	Disk    *Content // present content
	Base    *Content // content with this engine's changes removed
	After   *Content // planned content
	Format  edit.Format
	Changes []edit.Change // none if the whole file is berth's
	ours    bool          // whether it has changes of berth's, or is berth's
	shared  bool          // another engine's installation also changed this file
	before  *Content      // if shared, the content before that
	created bool          // the installation to undo created this configuration file
}

// originalToKeep returns the original content to keep.
func (f *File) originalToKeep() *Content {
	if f.shared {
		return f.before
	}
	return f.Base
}

// Changed reports whether the file is to be written.
func (f *File) Changed() bool { return f.Disk.sum() != f.After.sum() }

// MovesToClient reports whether the only change is that berth-hook's client takes the place of
// berth-hook, which keeps working.
func (f *File) MovesToClient() bool {
	moved := strings.ReplaceAll(f.After.text(), "/"+program.Client+`"`, "/"+program.Hook+`"`)
	return f.Changed() && f.Disk != nil && moved == f.Disk.Text
}

// Diff returns the planned change, in the format of diff -u.
func (f *File) Diff() string {
	old, now := f.Path, f.Path
	if f.Disk == nil {
		old = ""
	}
	if f.After == nil {
		now = ""
	}
	return edit.Diff(old, now, f.Disk.diffText(), f.After.diffText())
}

// diffText returns a content for a diff, a link in git's format.
func (c *Content) diffText() string {
	if c != nil && c.Link {
		return "link to " + c.Text + "\n"
	}
	return c.text()
}

// maxLinks is the maximum of links followed in a row, as in the kernel (MAXSYMLINKS,
// include/linux/namei.h).
const maxLinks = 40

// realPath returns a path with its links resolved, also if the target does not exist yet.
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

// maxFile is the maximum size of a configuration file, in bytes.
const maxFile = 4 << 20

// readFile reads the content of a path; following is for other programs' files, which may
// be links.
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
		return nil, fmt.Errorf("%q has mode %s and %d bytes; only a regular file of at most %d is read", path, info.Mode(),
			info.Size(), maxFile)
	}
	data, err := regular.Read(path, maxFile)
	return &Content{Text: string(data), Mode: info.Mode().Perm()}, err
}

// writeFile replaces a path's content atomically, and keeps the owner of an existing file.
func writeFile(path string, c *Content) error {
	if c == nil {
		return os.Remove(path)
	}
	if err := config.MakeDirs(filepath.Dir(path)); err != nil {
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

// The names of files that are being written, as os.CreateTemp and filepath.Glob have them.
const (
	temporaryFile  = ".berth-*"
	temporaryFiles = ".berth-[0-9]*"
)

// writeBeside creates a file that the caller then renames. Its name begins with a dot, so
// that an engine that reads the whole directory skips it.
func writeBeside(path string, c *Content) (temporary string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), temporaryFile)
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

// sameOwner gives a new file the owner of the file that it will replace.
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
