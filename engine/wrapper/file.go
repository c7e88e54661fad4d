package wrapper

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// maxConfig is the maximum size of a config.json that is parsed, in bytes. Engines write
// some tens of kilobytes.
const maxConfig = 8 << 20

// A configFile is a runtime's configuration, as far as berth may change it.
type configFile struct {
	path string
	info fs.FileInfo
	text []byte
	odd  string // why it cannot be changed; "" if it can
}

// readConfig reads a config.json. It returns nil if the file cannot be read twice: the
// runtime then reports the error.
func readConfig(path string) (*configFile, error) {
	c := &configFile{path: path}
	// With O_NONBLOCK, a FIFO does not block.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if errors.Is(err, unix.ELOOP) {
		c.odd = "it is a symbolic link"
		f, err = os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	}
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	c.info, err = f.Stat()
	switch {
	case err != nil:
		return nil, fmt.Errorf("examine %q: %w", path, err)
	case !c.info.Mode().IsRegular():
		return nil, nil
	}
	c.text, err = io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(c.text) > maxConfig {
		c.odd = fmt.Sprintf("it has %d bytes, and berth-runtime reads at most %d", c.info.Size(), maxConfig)
		c.text, err = possibleAnnotation(c.text, f)
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	return c, nil
}

// possibleAnnotation returns the part of a text, too long to be parsed, that could be an annotation
// of berth's.
func possibleAnnotation(begin []byte, rest io.Reader) ([]byte, error) {
	const overlap = len(prefix) + 1
	text := begin
	block := make([]byte, 1<<20)
	for {
		if couldBeAnnotated(text) {
			return []byte(prefix), nil
		}
		n, err := rest.Read(block)
		text = append(bytes.Clone(text[max(0, len(text)-overlap):]), block[:n]...)
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		}
	}
}

// couldBeAnnotated reports whether unparsed text could contain an annotation of berth's.
// JSON allows an escaped slash.
func couldBeAnnotated(text []byte) bool {
	return bytes.Contains(text, []byte(prefix)) || bytes.Contains(text, []byte(`berth\/`))
}

// replaceFile replaces the file atomically, with the same mode and owner: a reader sees either
// the old or the new text.
func (c *configFile) replaceFile(text []byte) error {
	temporary, err := c.writeBeside(text)
	if err != nil {
		return fmt.Errorf("write %q: %w", c.path, err)
	}
	if err := os.Rename(temporary, c.path); err != nil {
		return errors.Join(fmt.Errorf("write %q: %w", c.path, err), os.Remove(temporary))
	}
	return nil
}

// writeBeside writes a text to a new file in the same directory, which is on the same file
// system.
func (c *configFile) writeBeside(text []byte) (path string, err error) {
	f, err := os.CreateTemp(filepath.Dir(c.path), ".berth-*.json")
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err == nil {
		err = sameOwner(f, c.info)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// sameOwner gives a file the owner and the mode of another, in this order: a change of the
// owner clears bits of the mode.
func sameOwner(f *os.File, as fs.FileInfo) error {
	stat, err := statOf(as)
	if err != nil {
		return err
	}
	if err := f.Chown(int(stat.Uid), int(stat.Gid)); err != nil {
		return err
	}
	return f.Chmod(as.Mode())
}
