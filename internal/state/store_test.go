package state_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth/internal/state"
)

func TestModesWhateverTheUmask(t *testing.T) {
	// Not parallel: the umask is the process's.
	defer syscall.Umask(syscall.Umask(0o077))
	s := newStore(t)
	mustUpdate(t, s, func(*state.Tx) error { return nil })
	for path, want := range map[string]os.FileMode{
		filepath.Dir(s.Dir()):                     0o711,
		s.Dir():                                   0o700,
		filepath.Join(s.Dir(), state.NameDB):      0o600,
		filepath.Join(s.Dir(), state.NameLock):    0o600,
		filepath.Join(s.Dir(), "changed"):         0o600,
		filepath.Join(filepath.Dir(s.Dir()), "."): 0o711,
	} {
		info, err := os.Lstat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %04o, want %04o", path, got, want)
		}
	}
}

func TestUnsafeDirectoriesAreRefused(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(dir string) error{
		"STATE is a link":         func(dir string) error { return os.Symlink(t.TempDir(), dir) },
		"STATE is a file":         func(dir string) error { return os.WriteFile(dir, nil, 0o700) },
		"STATE is group-writable": func(dir string) error { return mkdir(dir, 0o771) },
		"STATE is world-writable": func(dir string) error { return mkdir(dir, 0o1777) },
		"STATE is another user's": func(dir string) error { return errors.Join(mkdir(dir, 0o700), os.Chown(dir, 1234, 0)) },
		"state is a link": func(dir string) error {
			return errors.Join(mkdir(dir, 0o711), os.Symlink(t.TempDir(), dir+"/state"))
		},
		"state is group-writable": func(dir string) error { return errors.Join(mkdir(dir, 0o711), mkdir(dir+"/state", 0o720)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "berth")
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			s, called := state.Open(dir), false
			fn := func(*state.Tx) error { called = true; return nil }
			if err := s.Update(t.Context(), fn); !errors.Is(err, state.ErrUnsafe) {
				t.Errorf("Update: %v, want ErrUnsafe", err)
			}
			if err := s.View(t.Context(), fn); !errors.Is(err, state.ErrUnsafe) {
				t.Errorf("View: %v, want ErrUnsafe", err)
			}
			err := s.View(t.Context(), fn)
			if isLink := strings.HasSuffix(name, "a link"); strings.Contains(err.Error(), "symbolic link") != isLink {
				t.Errorf("error %v: does it name a symbolic link? want %v", err, isLink)
			}
			if called {
				t.Error("the transaction ran")
			}
		})
	}
}

func mkdir(dir string, mode os.FileMode) error {
	err := os.Mkdir(dir, 0o700)
	unixMode := uint32(mode & 0o7777)
	return errors.Join(err, syscall.Chmod(dir, unixMode))
}

func TestDatabaseThatIsALinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	if err := s.Prepare(); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Symlink(target, filepath.Join(s.Dir(), state.NameDB)); err != nil {
		t.Fatal(err)
	}
	err := s.Update(t.Context(), func(*state.Tx) error { return nil })
	if !errors.Is(err, syscall.ELOOP) {
		t.Errorf("Update: %v, want ELOOP", err)
	}
	if _, err := os.Lstat(target); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link's target: %v, want it not made", err)
	}
}

// holdLock takes the store's lock as another process does.
func holdLock(t *testing.T, s *state.Store) (unlock func()) {
	t.Helper()
	f, err := s.OpenFile(state.NameLock, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	return func() { f.Close() }
}

func TestLockDeadline(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	unlock := holdLock(t, s)
	for name, run := range map[string]func(context.Context, func(*state.Tx) error) error{"Update": s.Update, "View": s.View} {
		late := errors.New("late")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, late)
		err := run(ctx, func(*state.Tx) error { t.Error("ran"); return nil })
		cancel()
		if !errors.Is(err, state.ErrBusy) || !errors.Is(err, late) {
			t.Errorf("%s: %v, want ErrBusy for the deadline", name, err)
		}
	}
	unlock()
	// A waiter that gets the lock after its deadline releases it: this one
	// succeeds although two others were in the queue before it.
	mustUpdate(t, s, func(*state.Tx) error { return nil })
}

func TestWaitingForTheLock(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	unlock := holdLock(t, s)
	done := make(chan error, 1)
	go func() { done <- s.Update(t.Context(), func(*state.Tx) error { return nil }) }()
	waitForWaiter(t, filepath.Join(s.Dir(), "lock"))
	select {
	case err := <-done:
		t.Fatalf("Update returned %v while another had the lock", err)
	default:
	}
	unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestReadersTogether(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	mustUpdate(t, s, func(*state.Tx) error { return nil })
	mustView(t, s, func(*state.Tx) error {
		return s.View(t.Context(), func(*state.Tx) error { return nil })
	})
}

func TestHold(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	key := state.Key(1, "net1")
	if s.Held(key) {
		t.Fatal("held before anybody held it")
	}
	unlock, err := s.Hold(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Held(key) || s.Held(state.Key(1, "net2")) {
		t.Error("want net1 held, and not net2")
	}
	if _, err := s.TryHold(key); !errors.Is(err, state.ErrBusy) {
		t.Errorf("second hold: %v, want ErrBusy", err)
	}
	got := make(chan func())
	go func() {
		second, err := s.Hold(t.Context(), key)
		if err != nil {
			t.Error(err)
		}
		got <- second
	}()
	unlock()
	second := <-got
	if !s.Held(key) {
		t.Error("not held by who waited for it")
	}
	second()
	if left, _ := filepath.Glob(s.Dir() + "/attaching/*"); left != nil {
		t.Errorf("left behind: %v", left)
	}
}

// TestExclude checks that a transaction waits for Exclude, and that readers do
// not.
func TestExclude(t *testing.T) {
	t.Parallel()
	s := state.Open(t.TempDir())
	inside := errors.New("from inside")
	err := s.Exclude(t.Context(), func() error {
		if err := s.View(t.Context(), func(*state.Tx) error { return nil }); err != nil {
			t.Errorf("View beside it: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if err := s.Update(ctx, func(*state.Tx) error { return nil }); !errors.Is(err, state.ErrBusy) {
			t.Errorf("Update beside it: %v, want ErrBusy", err)
		}
		return inside
	})
	if !errors.Is(err, inside) {
		t.Errorf("%v, want what fn returned", err)
	}
	if err := s.Update(t.Context(), func(*state.Tx) error { return nil }); err != nil {
		t.Errorf("Update after it: %v", err)
	}
}

// TestQuiet checks that a quiet transaction does not wake watchers, and that the
// next one does.
func TestQuiet(t *testing.T) {
	t.Parallel()
	s := state.Open(t.TempDir())
	changed := func() time.Time {
		info, err := os.Stat(s.Changed())
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime()
	}
	put := func(quiet bool) {
		err := s.Update(t.Context(), func(tx *state.Tx) error {
			if quiet {
				tx.Quiet()
			}
			return tx.Put(&state.Attachment{Cookie: 1, Interface: "net1"})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put(false)
	past := time.Now().Add(-time.Hour).Truncate(time.Second)
	if err := os.Chtimes(s.Changed(), past, past); err != nil {
		t.Fatal(err)
	}
	if put(true); !changed().Equal(past) {
		t.Error("a quiet transaction announced a change")
	}
	if put(false); changed().Equal(past) {
		t.Error("the one after it did not")
	}
}

// waitForWaiter waits until the kernel lists a blocked lock on the file
// (proc_locks(5)).
func waitForWaiter(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	inode := fmt.Sprintf(":%d ", info.Sys().(*syscall.Stat_t).Ino)
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		locks, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(locks)) {
			if strings.Contains(line, "->") && strings.Contains(line, inode) {
				return
			}
		}
	}
	t.Fatalf("the lock on %s is not waited for", path)
}
