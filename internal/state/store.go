package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"golang.org/x/sys/unix"
)

// Names of the files in STATE/state.
const (
	nameDB      = "berth.db"
	nameLock    = "lock"
	nameChanged = "changed"
	nameHolds   = "attaching" // a directory
)

// Store is the database of one STATE directory. It keeps nothing open between two
// transactions and may be used by several goroutines and processes.
type Store struct {
	Log *slog.Logger // receives a warning if a database is set aside; slog.Default if nil
	dir string
}

// Open returns the store of a STATE directory, which need not exist yet.
func Open(dir string) *Store { return &Store{dir: filepath.Clean(dir)} }

// Dir returns STATE/state, which only root can read.
func (s *Store) Dir() string { return filepath.Join(s.dir, "state") }

// Changed returns the path of a file that is written after every committed
// transaction, except after [Tx.Quiet].
func (s *Store) Changed() string { return filepath.Join(s.Dir(), nameChanged) }

// Prepare makes the directories, so that they can be watched before the first
// transaction. It returns ErrUnsafe if other users can write to them.
func (s *Store) Prepare() error {
	d, err := s.openStateDirectory(true)
	if err != nil {
		return err
	}
	return d.Close()
}

// OpenFile opens a file in STATE/state, and makes the directories if needed. It
// follows no symbolic link.
func (s *Store) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	d, err := s.openStateDirectory(true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	return d.open(name, flag, perm)
}

// openStateDirectory opens STATE/state through STATE and checks both.
func (s *Store) openStateDirectory(create bool) (*directory, error) {
	var outer, inner uint32
	if create {
		outer, inner = modeOuter, modeInner
	}
	o, err := openDirectory(unix.AT_FDCWD, s.dir, s.dir, outer)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	return openDirectory(o.fd, "state", s.Dir(), inner)
}

// Update runs fn in a transaction that excludes all others, and commits it if fn
// returns nil. It waits until the context's deadline, or 5 s if there is none,
// and then returns ErrBusy. fn must not wait for anything.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) error {
	d, err := s.openStateDirectory(true)
	if err != nil {
		return err
	}
	defer d.Close()
	l, err := d.lockFile(ctx, nameLock, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer l.Close()
	db, err := s.openWritable(d)
	if err != nil {
		return err
	}
	tx := new(Tx)
	err = guardBolt(d, func() error { return tx.updateIn(db, fn) })
	if errors.Is(err, ErrDamaged) {
		db.abandon()
		return errors.Join(err, s.setAside(d, nameDamaged, err))
	}
	if err != nil || tx.quiet {
		return err
	}
	return d.touchFile(nameChanged)
}

func (tx *Tx) updateIn(db *database, fn func(*Tx) error) (err error) {
	if tx.bolt, err = db.Begin(true); err != nil {
		return errors.Join(err, db.Close())
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.bolt.Rollback(), db.Close())
	}
	return errors.Join(tx.bolt.Commit(), db.Close())
}

// Exclude runs fn while no Update runs, like a View that reads nothing: it does
// not open the database.
func (s *Store) Exclude(ctx context.Context, fn func() error) error {
	d, err := s.openStateDirectory(true)
	if err != nil {
		return err
	}
	defer d.Close()
	l, err := d.lockFile(ctx, nameLock, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer l.Close()
	return fn()
}

// View runs fn in a read transaction. Several may run at once, and no Update runs
// meanwhile. If there is no database of this boot, fn sees an empty one. If it is
// damaged, View sets it aside: fn sees an empty one, or, if it had begun, View
// returns ErrDamaged. fn runs at most once.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	d, err := s.openStateDirectory(false)
	if errors.Is(err, fs.ErrNotExist) {
		return fn(&Tx{})
	}
	if err != nil {
		return err
	}
	defer d.Close()
	begun, bad, err := s.viewIn(ctx, d, fn)
	if !errors.Is(err, ErrDamaged) {
		return err
	}
	if mend := s.setDamagedAside(ctx, d, bad, err); mend != nil || begun {
		return errors.Join(err, mend)
	}
	_, _, err = s.viewIn(ctx, d, fn)
	return err
}

// viewIn is View without the repair. It returns whether fn has begun and, with
// ErrDamaged, the damaged file.
func (s *Store) viewIn(ctx context.Context, d *directory, fn func(*Tx) error) (begun bool, bad fileID, err error) {
	l, err := d.lockFile(ctx, nameLock, unix.LOCK_SH)
	if err != nil {
		return false, bad, err
	}
	defer l.Close()
	db, err := openReadable(d)
	if err == nil && db == nil {
		return true, bad, fn(&Tx{})
	}
	if err == nil {
		begun = true
		if err = guardBolt(d, func() error { return viewBolt(d, db, fn) }); errors.Is(err, ErrDamaged) {
			db.abandon()
		}
	}
	if errors.Is(err, ErrDamaged) {
		bad = d.idOf(nameDB) // the lock prevents its replacement
	}
	return begun, bad, err
}

// setDamagedAside sets a damaged database aside, unless another process has done so since.
func (s *Store) setDamagedAside(ctx context.Context, d *directory, bad fileID, why error) error {
	l, err := d.lockFile(ctx, nameLock, unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer l.Close()
	if bad != d.idOf(nameDB) {
		return nil
	}
	return s.setAside(d, nameDamaged, why)
}

func viewBolt(d *directory, db *database, fn func(*Tx) error) error {
	tx, err := db.Begin(false)
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(fn(&Tx{bolt: tx, dir: d}), tx.Rollback(), db.Close())
}

// guardBolt turns a panic or a memory fault inside bbolt, which damaged pages cause,
// into ErrDamaged. Resources that were open then are freed when the process ends.
// Any other panic continues.
func guardBolt(d *directory, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			if !inBolt() {
				panic(p)
			}
			err = fmt.Errorf("%w %q: %v", ErrDamaged, d.path+"/"+nameDB, p)
		}
	}()
	return fn()
}

// touchFile writes to a file, so that processes that watch it wake.
func (d *directory) touchFile(name string) error {
	fd, err := d.openFD(name, unix.O_WRONLY|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := unix.Pwrite(fd, []byte("\n"), 0); err != nil {
		return &os.PathError{Op: "write", Path: d.path + "/" + name, Err: err}
	}
	return nil
}
