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

// maxConfig is the largest config.json that is read, in bytes. Engines write
// some tens of kilobytes.
const maxConfig = 8 << 20

// A configFile is what a runtime is told to run, as far as berth may change it.
type configFile struct {
	path string
	info fs.FileInfo
	text []byte
	odd  string // why it cannot be changed; "": it can
}

// readConfig reads a config.json. It returns nil where there is nothing that
// could be read twice: the runtime has its own words for that.
func readConfig(path string) (*configFile, error) {
	c := &configFile{path: path}
	// A FIFO does not block.
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
		return nil, fmt.Errorf("look at %q: %w", path, err)
	case !c.info.Mode().IsRegular():
		return nil, nil
	}
	c.text, err = io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(c.text) > maxConfig {
		c.odd = fmt.Sprintf("it has %d bytes, and berth-runtime reads at most %d", c.info.Size(), maxConfig)
		c.text, err = remarkable(c.text, f)
	}
	if err != nil {
		return nil, fmt.Errorf("read %q: %w", path, err)
	}
	return c, nil
}

// remarkable returns what of a text that is too long to be decoded could be an
// annotation of berth's.
func remarkable(begin []byte, rest io.Reader) ([]byte, error) {
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

// couldBeAnnotated says whether an annotation of berth's could be in what is
// not decoded. JSON allows to escape the slash.
func couldBeAnnotated(text []byte) bool {
	return bytes.Contains(text, []byte(prefix)) || bytes.Contains(text, []byte(`berth\/`))
}

// replace puts a text in the place of the file at once: a reader sees either
// the one or the other, with the same mode and owner.
func (c *configFile) replace(text []byte) error {
	temporary, err := c.writeBeside(text)
	if err != nil {
		return fmt.Errorf("write %q: %w", c.path, err)
	}
	if err := os.Rename(temporary, c.path); err != nil {
		return errors.Join(fmt.Errorf("write %q: %w", c.path, err), os.Remove(temporary))
	}
	return nil
}

// writeBeside writes a text into a new file of the same folder, which is on
// the same file system.
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

// sameOwner gives a file the owner and the mode of another, in this order: a
// change of the owner takes bits of the mode away.
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
