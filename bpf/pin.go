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

// ErrNotBPFFS is returned by [Load] if the folder for pinned objects is not on a BPF file
// system.
var ErrNotBPFFS = errors.New("not on a BPF file system; mount one: mount -t bpf bpf /sys/fs/bpf")

// ErrUnsafe is returned if another user than the caller's could have pinned an object in
// the folder, or could remove one.
var ErrUnsafe = errors.New("another user can change the folder for pinned objects")

// checkFolders returns an error if another user can change the folder of this layout or the
// one around it: if a BPF file system is mounted without "mode=0700", every user can create
// folders in its root. A folder that does not exist is no error.
func (p pins) checkFolders() error {
	for _, dir := range []string{filepath.Dir(p.dir), p.dir} {
		err := checkFolder(dir, dir != p.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// checkFolder accepts a folder that all can write to if sticky is set and no user can
// remove another's files there, as in the root of the file system.
func checkFolder(dir string, sticky bool) error {
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return &os.PathError{Op: "lstat", Path: dir, Err: err}
	}
	why := ""
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFDIR:
		why = "is no folder"
	case st.Uid != uint32(os.Geteuid()):
		why = fmt.Sprintf("belongs to user %d", st.Uid)
	case st.Mode&0o022 != 0 && !(sticky && st.Mode&unix.S_ISVTX != 0):
		why = fmt.Sprintf("has mode %04o", st.Mode&0o7777)
	default:
		return nil
	}
	return fmt.Errorf("%q %s, so %w; remove it, and restart berthd", dir, why, ErrUnsafe)
}

// pins is the folder of this layout's pinned objects.
type pins struct{ dir string }

func pinsUnder(bpffs string) pins { return pins{filepath.Join(bpffs, "v"+strconv.Itoa(Version))} }

// nextFolder returns the folder in which the maps are created that will replace these, and in
// which the replaced ones are afterwards. Pinned names have no dots.
func (p pins) nextFolder() pins { return pins{p.dir + "-next"} }

// inode identifies the folder, to detect that it was replaced; it is 0 if there is none.
func (p pins) inode() uint64 {
	var st unix.Stat_t
	if unix.Stat(p.dir, &st) != nil {
		return 0
	}
	return st.Ino
}

func (p pins) objectPath(name string) string { return filepath.Join(p.dir, name) }

func (p pins) linksFolder() string { return filepath.Join(p.dir, "links") }

func (p pins) linkPath(ifindex int, w direction) string {
	return filepath.Join(p.linksFolder(), fmt.Sprintf("%d-%s", ifindex, w))
}

// makeFolders creates the folders, for root alone.
func (p pins) makeFolders() error {
	if err := p.checkFolders(); err != nil {
		return err
	}
	if err := os.MkdirAll(p.linksFolder(), 0o700); err != nil {
		return fmt.Errorf("make folder for pinned objects: %w", err)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(p.linksFolder(), &st); err != nil {
		return fmt.Errorf("read the file system of %q: %w", p.dir, err)
	}
	if st.Type != unix.BPF_FS_MAGIC {
		return fmt.Errorf("pin to %q: %w", p.dir, ErrNotBPFFS)
	}
	return nil
}

// removeFolders deletes every pin and the folders, and so the objects that only the pins held.
func (p pins) removeFolders() error {
	if err := os.RemoveAll(p.dir); err != nil {
		return fmt.Errorf("remove pinned objects: %w", err)
	}
	err := os.Remove(filepath.Dir(p.dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("remove folder for pinned objects: %w", err)
	}
	return nil
}

// linkedParents returns the interface indices that have a pinned link, of either direction.
func (p pins) linkedParents() ([]int, error) {
	files, err := os.ReadDir(p.linksFolder())
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
