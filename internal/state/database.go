package state

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"
)

// Names of databases that are not in use.
const (
	nameNew     = nameDB + ".new"     // being made; renamed when complete
	nameDamaged = nameDB + ".damaged" // set aside; one is kept
	nameOld     = nameDB + ".before-reboot"
)

// layout is the version of the buckets' contents.
const layout = "1"

var (
	bucketMeta = []byte("meta")
	keyBoot    = []byte("boot")
	keyLayout  = []byte("layout")
)

// bootID returns the kernel's ID of the current boot (random(4),
// /proc/sys/kernel/random/boot_id).
func bootID() ([]byte, error) {
	boot.once.Do(func() {
		boot.id, boot.err = readBootID("/proc/sys/kernel/random/boot_id")
	})
	return boot.id, boot.err
}

// readBootID reads a file of one line without os.File, which would register it with Go's poller.
func readBootID(path string) ([]byte, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	defer unix.Close(fd)
	line := make([]byte, 64) // an UUID has 36
	n, err := unix.Read(fd, line)
	if err != nil {
		return nil, &os.PathError{Op: "read", Path: path, Err: err}
	}
	return bytes.TrimSpace(line[:n]), nil
}

var boot struct {
	once sync.Once
	id   []byte
	err  error
}

// smallDB is the size in bytes up to which a database is mapped with all of its pages at once: about
// 100 attachments. Else the first read of each 16 pages is a page fault, which takes longer.
const smallDB = 256 << 10

// mapFlags returns the flags with which a database is mapped.
func (d *directory) mapFlags(name string) int {
	var st unix.Stat_t
	if unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil || st.Size > smallDB {
		return 0
	}
	return unix.MAP_POPULATE
}

type openFunc = func(name string, flag int, perm os.FileMode) (*os.File, error)

// boltOptions disables every sync: the content is worthless after a crash of the machine,
// and after a crash of the process the page cache has it (syncing makes a transaction
// 3 to 10 times as long). The free list is written: without it every open reads the
// whole file, 12 ms with 10,000 attachments.
func boltOptions(d *directory, openFile openFunc, readOnly bool) *bbolt.Options {
	return &bbolt.Options{
		Timeout:      time.Second, // for other programs; berth's own hold the lock
		NoSync:       true,
		NoGrowSync:   true,
		NoStatistics: true,
		FreelistType: bbolt.FreelistMapType,
		ReadOnly:     readOnly,
		OpenFile:     openFile,
		MmapFlags:    d.mapFlags(nameDB),
	}
}

// database is an open bbolt file. bbolt itself cannot be closed after a panic, so the
// file is kept beside it.
type database struct {
	*bbolt.DB
	file *os.File
}

// abandon closes the file of a database in which bbolt panicked. The memory stays
// mapped until the process ends, and the file lock would stay too.
func (db *database) abandon() {
	if db.file != nil {
		_ = flockRetry(int(db.file.Fd()), unix.LOCK_UN) // EBADF: bbolt has closed it already
		db.file.Close()
	}
}

// openReadable returns nil if there is no database of this boot.
func openReadable(d *directory) (*database, error) {
	db, err := openDB(d, true)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errOtherBoot) {
		return nil, nil
	}
	return db, err
}

// openWritable opens the database. It makes a new one if there is none, or if it is
// another boot's or damaged. The caller holds the lock.
func (s *Store) openWritable(d *directory) (*database, error) {
	db, err := openDB(d, false)
	aside := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case errors.Is(err, errOtherBoot):
		aside = nameOld
	case errors.Is(err, ErrDamaged):
		aside = nameDamaged
	default:
		return db, err
	}
	if aside != "" {
		if err := s.setAside(d, aside, err); err != nil {
			return nil, err
		}
	}
	if err := createDB(d); err != nil {
		return nil, fmt.Errorf("make database %q: %w", d.path+"/"+nameDB, err)
	}
	return openDB(d, false)
}

// errOtherBoot is returned by openDB for a database of another boot.
var errOtherBoot = errors.New("database of another boot")

func openDB(d *directory, readOnly bool) (*database, error) {
	db := new(database)
	openFile := func(name string, flag int, perm os.FileMode) (f *os.File, err error) {
		db.file, err = d.open(name, flag&^os.O_CREATE, perm) // fs.ErrNotExist: createDB makes it, not bbolt
		if err == nil {
			err = checkSize(db.file)
		}
		return db.file, err
	}
	err := guardBolt(d, func() (err error) {
		if db.DB, err = bbolt.Open(nameDB, 0o600, boltOptions(d, openFile, readOnly)); err != nil {
			return classifyOpenError(d, err)
		}
		return db.View(func(tx *bbolt.Tx) error { return checkMeta(db.file, tx) })
	})
	if err == nil {
		return db, nil
	}
	if db.DB != nil && !errors.Is(err, ErrDamaged) {
		return nil, errors.Join(err, db.Close())
	}
	db.abandon()
	return nil, err
}

// classifyOpenError classifies an error of bbolt.Open.
func classifyOpenError(d *directory, err error) error {
	for _, bad := range []error{bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum, errShort} {
		if errors.Is(err, bad) {
			return fmt.Errorf("%w %q: %w", ErrDamaged, d.path+"/"+nameDB, err)
		}
	}
	return fmt.Errorf("open database %q: %w", d.path+"/"+nameDB, err)
}

// errShort is returned for a file without room for bbolt's two meta pages. bbolt
// itself has no named error for it, and would write its first pages into an empty
// file, even one that was opened for reading.
var errShort = errors.New("file is too short")

func checkSize(f *os.File) error {
	info, err := f.Stat()
	if err == nil && info.Size() < int64(2*os.Getpagesize()) {
		err = fmt.Errorf("%w: %d bytes", errShort, info.Size())
	}
	return err
}

// checkMeta checks that a database is of this boot, of this layout and of full
// length.
func checkMeta(f *os.File, tx *bbolt.Tx) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < tx.Size() {
		return fmt.Errorf("%w %q: %d bytes of %d", ErrDamaged, f.Name(), info.Size(), tx.Size())
	}
	boot, err := bootID()
	if err != nil {
		return err
	}
	meta := tx.Bucket(bucketMeta)
	if meta == nil {
		return fmt.Errorf("%w %q: it is not berth's", ErrDamaged, f.Name())
	}
	if found := meta.Get(keyBoot); !bytes.Equal(found, boot) {
		return fmt.Errorf("%w (%q)", errOtherBoot, found)
	}
	if found := meta.Get(keyLayout); string(found) != layout {
		return fmt.Errorf("open database %q: layout %q, want %q: %w", f.Name(), found, layout, ErrVersion)
	}
	return nil
}

// createDB makes the database under another name, because a process that is killed
// while it writes the first pages of a new file leaves an incomplete one.
func createDB(d *directory) error {
	boot, err := bootID()
	if err != nil {
		return err
	}
	if err := d.remove(nameNew); err != nil {
		return err
	}
	db, err := bbolt.Open(nameNew, 0o600, boltOptions(d, d.open, false))
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, err := tx.CreateBucket(bucketMeta)
		if err != nil {
			return err
		}
		return errors.Join(meta.Put(keyBoot, boot), meta.Put(keyLayout, []byte(layout)), meta.Put(keyEnforcing, []byte{1}))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		return err
	}
	return d.rename(nameNew, nameDB)
}

// setAside renames the database, replaces one that was set aside before, and logs it.
func (s *Store) setAside(d *directory, as string, why error) error {
	log := s.Log
	if log == nil {
		log = slog.Default()
	}
	log.Warn("state database set aside; a new one is begun", "as", d.path+"/"+as, "why", why)
	return d.rename(nameDB, as)
}

// inBolt reports whether the panic that is being recovered passed through bbolt. The
// deferred function itself must call it.
func inBolt() bool {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(2, pcs)])
	for {
		frame, more := frames.Next()
		if strings.HasPrefix(frame.Function, "go.etcd.io/bbolt") {
			return true
		}
		if !more {
			return false
		}
	}
}
