package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Apply keeps what it takes to undo a plan, and then writes its files. A file
// that has changed since the plan was made is an error. Where one cannot be
// written, those before it are put back.
func (p *Plan) Apply() error {
	return locked(p.home, func() error {
		_, before := os.Lstat(recordDir(p.home, p.Engine))
		if err := writeRecord(p); err != nil {
			return fmt.Errorf("keep a record of what is installed for %s: %w", p.Engine, err)
		}
		err := p.writeAll()
		if err != nil && before != nil { // there was no record
			err = errors.Join(err, os.RemoveAll(recordDir(p.home, p.Engine)))
		}
		return err
	})
}

// Remove writes the plan of an uninstallation and forgets the record.
func (p *Plan) Remove() error {
	return locked(p.home, func() error {
		if err := p.writeAll(); err != nil {
			return err
		}
		return os.RemoveAll(recordDir(p.home, p.Engine))
	})
}

func (p *Plan) writeAll() error {
	var written []*File
	for _, f := range p.Changed() {
		now, err := readFile(f.Path, f.Format != "")
		if err == nil && now.sum() != f.Disk.sum() {
			err = errors.New("it was changed meanwhile: try again")
		}
		if err == nil {
			err = writeFile(f.Path, f.After)
		}
		if err != nil {
			err = fmt.Errorf("write %s: %w", f.Path, err)
			for _, w := range written {
				err = errors.Join(err, writeFile(w.Path, w.Disk))
			}
			return err
		}
		written = append(written, f)
	}
	return nil
}

// locked runs one installation at a time.
func locked(config string, run func() error) error {
	dir := installedDir(config)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return run()
}
