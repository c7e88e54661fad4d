package state_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"berth/internal/state"
)

// fill gives a store enough attachments for a tree of pages.
func fill(t testing.TB, s *state.Store, n uint64) {
	t.Helper()
	update(t, s, func(tx *state.Tx) error {
		var errs []error
		for i := range n {
			errs = append(errs, tx.Put(attachment(i, "net1", fmt.Sprintf("%064x", i))))
		}
		return errors.Join(errs...)
	})
}

// use reads and writes all over a store and says what went wrong.
func use(t testing.TB, s *state.Store) error {
	return s.Update(t.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Attachments() {
			if err != nil {
				return err
			}
			if _, err := tx.OfContainer(a.Containers[0]); err != nil {
				return err
			}
		}
		return tx.Put(attachment(1<<40, "net1", "c"))
	})
}

func TestDamagedFromTheStart(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(data []byte) []byte{
		"empty":            func([]byte) []byte { return nil },
		"half a page":      func(data []byte) []byte { return data[:2000] },
		"metas only":       func(data []byte) []byte { return data[:2*os.Getpagesize()] },
		"last page gone":   func(data []byte) []byte { return data[:len(data)-os.Getpagesize()] },
		"text":             func([]byte) []byte { return []byte(strings.Repeat("no database ", 2000)) },
		"zeros":            func(data []byte) []byte { return make([]byte, len(data)) },
		"all but the meta": func(data []byte) []byte { clear(data[2*os.Getpagesize():]); return data },
		"another's": func([]byte) []byte {
			path := filepath.Join(t.TempDir(), "db")
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil || db.Close() != nil {
				t.Fatal(err)
			}
			data, _ := os.ReadFile(path)
			return data
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := newStore(t), new(strings.Builder)
			s.Log = slog.New(slog.NewTextHandler(log, nil))
			fill(t, s, 500)
			rewrite(t, s, damage)
			if err := s.View(t.Context(), func(tx *state.Tx) error {
				for range tx.Attachments() {
				}
				return nil
			}); !errors.Is(err, state.ErrDamaged) {
				t.Errorf("View: %v, want ErrDamaged", err)
			}
			// A damage that only a page deep inside shows makes the first
			// transaction fail; the next starts anew.
			if err := use(t, s); err != nil && !errors.Is(err, state.ErrDamaged) {
				t.Errorf("first Update: %v, want nil or ErrDamaged", err)
			}
			if err := use(t, s); err != nil {
				t.Errorf("second Update: %v", err)
			}
			if _, err := os.Stat(filepath.Join(s.Dir(), state.NameDamaged)); err != nil {
				t.Errorf("the damaged one was not set aside: %v", err)
			}
			if !strings.Contains(log.String(), state.NameDamaged) {
				t.Errorf("the log does not say that it was set aside: %q", log)
			}
		})
	}
}

func rewrite(t testing.TB, s *state.Store, change func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(s.Dir(), state.NameDB)
	data, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(data), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestDamagedAnywhere overwrites random pages. bbolt has no checksums for its
// pages, so damage may also pass for other data; but no transaction may crash
// the process, and the second works.
func TestDamagedAnywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		s := newStore(t)
		s.Log = slog.New(slog.DiscardHandler)
		fill(t, s, 300)
		random := rand.New(rand.NewPCG(seed, 7))
		rewrite(t, s, func(data []byte) []byte {
			pages := len(data) / os.Getpagesize()
			for range 3 {
				page := data[(2+random.IntN(pages-2))*os.Getpagesize():][:os.Getpagesize()]
				for i := range page[:64] {
					page[i] = byte(random.Uint32())
				}
			}
			return data
		})
		first, second := use(t, s), use(t, s)
		if first != nil && !errors.Is(first, state.ErrDamaged) || second != nil {
			t.Errorf("seed %d: %v, then %v; want ErrDamaged or nil, then nil", seed, first, second)
		}
	}
}

func TestAnotherBootsDatabaseIsSetAside(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Log = slog.New(slog.DiscardHandler)
	fill(t, s, 3)
	db, err := bbolt.Open(filepath.Join(s.Dir(), state.NameDB), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("meta")).Put([]byte("boot"), []byte("00000000-0000-4000-8000-000000000000"))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	empty := func(tx *state.Tx) error {
		for a := range tx.Attachments() {
			t.Errorf("another boot's attachment %s is still there", a.Key())
		}
		return nil
	}
	view(t, s, empty)
	update(t, s, empty)
	view(t, s, empty)
	if _, err := os.Stat(filepath.Join(s.Dir(), state.NameOld)); err != nil {
		t.Errorf("it was not set aside: %v", err)
	}
}

func TestAnotherLayoutIsRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	fill(t, s, 3)
	db, err := bbolt.Open(filepath.Join(s.Dir(), state.NameDB), 0o600, &bbolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("meta")).Put([]byte("layout"), []byte("99")) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	fn := func(*state.Tx) error { return nil }
	if err := s.Update(t.Context(), fn); !errors.Is(err, state.ErrVersion) {
		t.Errorf("Update: %v, want ErrVersion", err)
	}
	if err := s.View(t.Context(), fn); !errors.Is(err, state.ErrVersion) {
		t.Errorf("View: %v, want ErrVersion", err)
	}
}

func TestPanicOfTheCallerGoesOn(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v, want the caller's own panic", p)
		}
	}()
	_ = s.Update(t.Context(), func(*state.Tx) error { panic("mine") })
}
