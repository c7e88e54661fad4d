package state

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Hold locks a key against other processes. A key is that of an attachment, from before it is
// recorded until it is settled or deleted, or names a network namespace, a prober, the keeper
// or a host shim. The kernel frees the lock when the process ends in any way: if a record is
// attaching and its key is not locked, its maker was killed.
//
// It waits until the context's deadline, or 5 s if there is none, and then
// returns ErrBusy. A caller that needs several takes them in the order of their
// keys, and before a transaction, never inside one.
func (s *Store) Hold(ctx context.Context, key string) (unlock func(), err error) {
	return s.lockKey(ctx, key, unix.LOCK_EX)
}

// TryHold is Hold without a wait; it returns ErrBusy at once.
func (s *Store) TryHold(key string) (unlock func(), err error) {
	return s.lockKey(context.Background(), key, unix.LOCK_EX|unix.LOCK_NB)
}

// Held reports whether any process holds the key.
func (s *Store) Held(key string) bool {
	unlock, err := s.lockKey(context.Background(), key, unix.LOCK_SH|unix.LOCK_NB)
	if err == nil {
		unlock()
	}
	return errors.Is(err, ErrBusy)
}

// lockKey locks a separate file for each key. Each holder removes the file at its end, a shared one
// only if no other has a lock on it. So a caller that waited for the lock checks that the file still
// has its name, and opens the new file if not.
func (s *Store) lockKey(ctx context.Context, key string, how int) (func(), error) {
	d, err := s.openStateDirectory(true)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	holds, err := openDirectory(d.fd, nameHolds, d.path+"/"+nameHolds, modeInner)
	if err != nil {
		return nil, err
	}
	name := strings.ReplaceAll(key, "/", "@") // no interface name has '/', no cookie '@'
	for {
		f, err := holds.lockFile(ctx, name, how)
		if err != nil {
			holds.Close()
			return nil, err
		}
		if !isUnlinked(f) {
			return func() {
				if how&unix.LOCK_EX != 0 || f.becomesOnly() {
					_ = holds.remove(name) // an error leaves a file without a lock
				}
				f.Close()
				holds.Close()
			}, nil
		}
		f.Close()
	}
}

// SweepHolds removes the lock files of killed processes and returns their number.
// Files of held keys stay.
func (s *Store) SweepHolds(ctx context.Context) (n int, err error) {
	entries, err := os.ReadDir(filepath.Join(s.Dir(), nameHolds))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("sweep holds: %w", err)
	}
	for _, entry := range entries {
		if ctx.Err() != nil {
			break
		}
		unlock, err := s.TryHold(entry.Name())
		if errors.Is(err, ErrBusy) {
			continue
		}
		if err != nil {
			return n, fmt.Errorf("sweep holds: %w", err)
		}
		unlock() // also removes the file
		n++
	}
	return n, nil
}

// becomesOnly takes the lock of a shared holder alone, and reports whether the file still has its
// name: then no other process has a lock under that name.
func (f lockedFile) becomesOnly() bool {
	return flockRetry(f.fd, unix.LOCK_EX|unix.LOCK_NB) == nil && !isUnlinked(f)
}

func isUnlinked(f lockedFile) bool {
	var st unix.Stat_t
	return unix.Fstat(f.fd, &st) != nil || st.Nlink == 0
}
