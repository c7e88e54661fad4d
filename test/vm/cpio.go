package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
)

// File types of an archive's modes (include/uapi/linux/stat.h).
const (
	typeDir     = 0o040000
	typeFile    = 0o100000
	typeSymlink = 0o120000
	typeMask    = 0o170000
)

// tree is the file system of an initramfs: entries by path, without a leading
// slash.
type tree map[string]entry

type entry struct {
	mode   uint32
	data   []byte // a file's content, a link's target
	source string // a file with the content, instead of data
}

func (t tree) file(name string, data []byte) { t.put(name, entry{mode: typeFile | 0o644, data: data}) }

func (t tree) program(name, source string) {
	t.put(name, entry{mode: typeFile | 0o755, source: source})
}

func (t tree) symlink(name, target string) {
	t.put(name, entry{mode: typeSymlink | 0o777, data: []byte(target)})
}

// put adds an entry and the directories that lead to it.
func (t tree) put(name string, e entry) {
	t[name] = e
	t.dir(path.Dir(name))
}

func (t tree) dir(name string) {
	for ; name != "." && t[name].mode == 0; name = path.Dir(name) {
		t[name] = entry{mode: typeDir | 0o755}
	}
}

// write writes the tree as a cpio archive in the format "newc"
// (Documentation/driver-api/early-userspace/buffer-format.rst), directories before
// their entries.
func (t tree) write(out io.Writer) error {
	w := &cpioWriter{w: bufio.NewWriterSize(out, 1<<20)}
	for _, name := range slices.Sorted(maps.Keys(t)) {
		e := t[name]
		if e.source != "" {
			data, err := os.ReadFile(e.source)
			if err != nil {
				return err
			}
			e.data = data
		}
		w.entry(name, e)
	}
	w.entry("TRAILER!!!", entry{})
	if w.err != nil {
		return fmt.Errorf("write archive: %w", w.err)
	}
	return w.w.Flush()
}

// cpioWriter stores the first error.
type cpioWriter struct {
	w    *bufio.Writer
	size int // written so far
	ino  int
	err  error
}

func (w *cpioWriter) entry(name string, e entry) {
	w.ino++
	links := 1
	if e.mode&typeMask == typeDir {
		links = 2
	}
	// inode, mode, uid, gid, links, mtime, size, device, device of a special
	// file, size of the name with its 0, check sum (none).
	header := "070701"
	for _, field := range []int{w.ino, int(e.mode), 0, 0, links, 0, len(e.data), 0, 0, 0, 0, len(name) + 1, 0} {
		header += fmt.Sprintf("%08X", field)
	}
	w.write([]byte(header + name + "\x00"))
	w.write(e.data)
}

// write writes p, and zeros up to a multiple of four bytes.
func (w *cpioWriter) write(p []byte) {
	if w.err != nil {
		return
	}
	w.size += len(p)
	pad := (4 - w.size%4) % 4
	w.size += pad
	if _, w.err = w.w.Write(p); w.err == nil {
		_, w.err = w.w.Write(make([]byte, pad))
	}
}
