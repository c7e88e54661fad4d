package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"berth/internal/config"
)

// ErrStale is returned for a plan whose files have changed since it was made.
var ErrStale = errors.New("it changed meanwhile; try again")

// Apply stores the data to undo a plan, and then writes its files. If a file has changed
// since the plan was made, the error wraps [ErrStale]. If one cannot be written, Apply
// restores those before it, and the record. [Locked] keeps other installations out while a
// plan is made and applied.
func (p *Plan) Apply() error {
	if err := p.checkFresh(); err != nil {
		return err
	}
	p.sweepTemporary()
	back, err := keepRecord(recordDir(p.home, p.Engine))
	if err == nil {
		err = writeRecord(p)
	}
	if err != nil {
		err = fmt.Errorf("record the installation for %s: %w", p.Engine, err)
	} else {
		err = p.writeAll()
	}
	if err != nil && back != nil {
		err = errors.Join(err, back())
	}
	return err
}

// keepRecord returns a function that restores a record's directory.
func keepRecord(dir string) (back func() error, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	kept := make(map[string]*Content)
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if kept[path], err = readFile(path, false); err != nil {
			return nil, err
		}
	}
	return func() error {
		err := os.RemoveAll(dir)
		for path, c := range kept {
			err = errors.Join(err, writeFile(path, c))
		}
		return err
	}, nil
}

// sweepTemporary removes files that a killed installation was writing. [Locked] keeps out another
// one that writes.
func (p *Plan) sweepTemporary() {
	for _, f := range p.Files {
		found, _ := filepath.Glob(filepath.Join(filepath.Dir(f.Path), temporaryFiles)) // the pattern is well formed
		for _, path := range found {
			_ = os.Remove(path) // one that stays is read by no engine
		}
	}
}

// Remove applies the plan of an uninstallation and deletes the record.
func (p *Plan) Remove() error {
	if err := p.checkFresh(); err != nil {
		return err
	}
	p.sweepTemporary()
	if err := p.writeAll(); err != nil {
		return err
	}
	removeDirs(p.dirs)
	if !p.retired.IsZero() {
		return p.retireRecord()
	}
	return os.RemoveAll(recordDir(p.home, p.Engine))
}

// checkFresh returns an error if a file has changed since the plan was made.
func (p *Plan) checkFresh() error {
	for _, f := range p.Changed() {
		now, err := readFile(f.Path, f.Format != "")
		if err == nil && now.sum() != f.Disk.sum() {
			err = ErrStale
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", f.Path, err)
		}
	}
	return nil
}

func (p *Plan) writeAll() error {
	var written []*File
	for _, f := range p.Changed() {
		if err := writeFile(f.Path, f.After); err != nil {
			err = fmt.Errorf("write %s: %w", f.Path, err)
			for _, w := range written {
				err = errors.Join(err, writeFile(w.Path, w.Disk))
			}
			removeDirs(p.dirs)
			return err
		}
		written = append(written, f)
	}
	return nil
}

// Locked runs one installation at a time, from its plan to its end, so that a plan includes
// the results of those before it.
func Locked(home string, run func() error) error {
	dir := installedDir(home)
	if err := config.MakeDirs(dir); err != nil {
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
