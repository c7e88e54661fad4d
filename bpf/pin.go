package bpf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotBPFFS is returned by [Load] if the directory of pinned objects is not on a BPF file
// system.
var ErrNotBPFFS = errors.New("not on a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf")

// ErrUnsafe is returned if users other than root could have pinned an object in the
// directory, or could remove one.
var ErrUnsafe = errors.New("users other than root can change it")

// checkDirectories returns an error if another user can change the directory of this layout
// or the one around it: if a BPF file system is mounted without "mode=0700", every user can
// create directories in its root. A directory that does not exist is no error.
func (p pins) checkDirectories() error {
	for _, dir := range []string{filepath.Dir(p.dir), p.dir} {
		err := checkDirectory(dir, dir != p.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkDirectory accepts a directory that all can write to if sticky is set and no user can
// remove another's files there, as in the root of the file system.
func checkDirectory(dir string, sticky bool) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	why := ""
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		why = "is no directory"
	case st.Uid != uint32(os.Geteuid()):
		why = fmt.Sprintf("belongs to user %d", st.Uid)
	case st.Mode&0o022 != 0 && !(sticky && st.Mode&unix.S_ISVTX != 0):
		why = fmt.Sprintf("has mode %04o", st.Mode&0o7777)
	default:
		return nil
	}
	return fmt.Errorf("directory of pinned objects %q %s, so %w; remove it, and restart berthd", dir, why, ErrUnsafe)
}

// pins is the directory of this layout's pinned objects.
type pins struct{ dir string }

func pinsUnder(bpffs string) pins { return pins{filepath.Join(bpffs, "v"+strconv.Itoa(Version))} }

// nextDirectory returns the directory in which the maps are created that will replace these,
// and in which the replaced ones are afterwards. Pinned names have no dots.
func (p pins) nextDirectory() pins { return pins{p.dir + "-next"} }

// inode identifies the directory, to detect that it was replaced; it is 0 if there is none.
func (p pins) inode() uint64 {
	var st unix.Stat_t
	if unix.Stat(p.dir, &st) != nil {
		return 0
	}
	return st.Ino
}

func (p pins) objectPath(name string) string { return filepath.Join(p.dir, name) }

func (p pins) linksDir() string { return filepath.Join(p.dir, "links") }

func (p pins) linkPath(ifindex int, w direction) string {
	return filepath.Join(p.linksDir(), fmt.Sprintf("%d-%s", ifindex, w))
}

// makeDirectories creates the directories, for root alone.
func (p pins) makeDirectories() error {
	if err := p.checkDirectories(); err != nil {
		return err
	}
	if err := os.MkdirAll(p.linksDir(), 0o700); err != nil {
		return fmt.Errorf("create directory of pinned objects: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(p.linksDir(), &st); err != nil {
		return fmt.Errorf("read the file system of %q: %w", p.dir, err)
	}
	if st.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("pin to %q: %w", p.dir, ErrNotBPFFS)
	}
	return nil
}

// removeDirectories deletes every pin and the directories, and so the objects that only the
// pins held.
func (p pins) removeDirectories() error {
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove pinned objects: %w", err)
	}
	err := os.Remove(filepath.Dir(p.dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("remove directory of pinned objects: %w", err)
	}
	return nil
}

// linkedParents returns the interface indices that have a pinned link, of either direction.
func (p pins) linkedParents() ([]int, error) {
	files, err := os.ReadDir(p.linksDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list pinned links: %w", err)
	}
	var all []int
	for _, f := range files {
		index, _, ok := parseLinkName(f.Name())
		if ok && (len(all) == 0 || all[len(all)-1] != index) {
			all = append(all, index)
		}
	}
	return all, nil
}

// parseLinkName parses the name of a pinned link; ok is false if the file is not berth's.
func parseLinkName(name string) (ifindex int, w direction, ok bool) {
	number, suffix, found := strings.Cut(name, "-")
	ifindex, err := strconv.Atoi(number)
	if !found || err != nil || ifindex <= 0 || strconv.Itoa(ifindex) != number {
		return 0, 0, false
	}
	for _, w := range ways {
		if suffix == w.String() {
			return ifindex, w, true
		}
	}
	return 0, 0, false
}

func isAbsent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}
