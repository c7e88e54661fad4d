package tree

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// bind mounts the directories outside the overlay, those of the machine that the
// sandbox names, and the running kernel's modules.
func (s *setup) bind(root string) error {
	binds := s.Binds
	if exists("/lib/modules") {
		binds = append(binds, Bind{Source: "/lib/modules", Target: "/usr/lib/modules", ReadOnly: true})
	}
	for i, target := range s.Plain {
		plain := filepath.Join(s.Scratch, "plain", strconv.Itoa(i))
		if err := os.MkdirAll(plain, 0o755); err != nil {
			return err
		}
		binds = append(binds, Bind{Source: plain, Target: target})
	}
	for _, b := range binds {
		if err := b.mount(root); err != nil {
			return err
		}
		if err := s.hideRoot(b, root); err != nil {
			return err
		}
	}
	return nil
}

// hideRoot unmounts the copies of this sandbox's own mounts that a bind of a directory
// around its root directory, such as the cache, has made.
func (s *setup) hideRoot(b Bind, root string) error {
	inside, err := filepath.Rel(b.Source, root)
	if err != nil || inside == ".." || strings.HasPrefix(inside, "../") {
		return nil // the bind is of another place
	}
	if err := unix.Unmount(filepath.Join(root, b.Target, inside), unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the copy of the tree in %q: %w", b.Target, err)
	}
	return nil
}

func (b Bind) mount(root string) error {
	info, err := os.Stat(b.Source)
	if err != nil {
		return err
	}
	target := filepath.Join(root, b.Target)
	if err := makeTarget(root, strings.TrimPrefix(b.Target, "/"), info.IsDir()); err != nil {
		return err
	}
	var flags uintptr
	if b.ReadOnly {
		flags = unix.MS_RDONLY
	}
	return bindMount(b.Source, target, flags)
}

// makeTarget makes the mount point of a bind. A symbolic link that leads out of the
// tree is an error; from here an absolute link does so.
func makeTarget(root, name string, isDir bool) error {
	inside, err := os.OpenRoot(root)
	if err != nil {
		return err
	}
	defer inside.Close()
	if isDir {
		return inside.MkdirAll(name, 0o755)
	}
	if err := inside.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := inside.OpenFile(name, os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}
