package state_test

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"berth/internal/state"
)

// fillStore adds enough attachments to a store for a tree of pages.
func fillStore(t testing.TB, s *state.Store, n uint64) {
	t.Helper()
	mustUpdate(t, s, func(tx *state.Tx) error {
		var errs []error
		for i := range n {
			errs = append(errs, tx.Put(attachment(i, "net1", fmt.Sprintf("%064x", i))))
		}
		return errors.Join(errs...)
	})
}

// useAllParts reads and writes all parts of a store and returns the first error.
func useAllParts(t testing.TB, s *state.Store) error {
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

// damagedContents returns possible contents of a damaged database.
func damagedContents(t *testing.T) map[string]func(data []byte) []byte {
	all := map[string]func(data []byte) []byte{
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
	}
	for _, size := range []int{0, 1, 2000, 3000, 4096, 5000, 8191, 8192, 10000} {
		all[fmt.Sprint("first ", size)] = func(data []byte) []byte { return data[:size] }
		all[fmt.Sprint("random ", size)] = func(data []byte) []byte {
			random := rand.NewChaCha8([32]byte{byte(size)})
			_, _ = random.Read(data) // never fails
			return data[:size]
		}
	}
	return all
}

func TestDamagedFromTheStart(t *testing.T) {
	t.Parallel()
	for first, begin := range map[string]func(t testing.TB, s *state.Store) error{"View": readAllParts, "Update": useAllParts} {
		for name, damage := range damagedContents(t) {
			t.Run(first+" of "+name, func(t *testing.T) {
				t.Parallel()
				s, log := newStore(t), new(strings.Builder)
				s.Log = slog.New(slog.NewTextHandler(log, nil))
				fillStore(t, s, 500)
				rewriteDatabase(t, s, damage)
				if err := begin(t, s); err != nil {
					t.Errorf("first: %v", err)
				}
				mustView(t, s, func(tx *state.Tx) error {
					for a, err := range tx.Attachments() {
						if err != nil || a.Cookie != 1<<40 { // the one that useAllParts writes
							t.Errorf("%+v (%v) is still there", a, err)
						}
					}
					return nil
				})
				if err := errors.Join(useAllParts(t, s), readAllParts(t, s)); err != nil {
					t.Errorf("then: %v", err)
				}
				if _, err := os.Stat(filepath.Join(s.Dir(), state.NameDamaged)); err != nil {
					t.Errorf("the damaged one was not set aside: %v", err)
				}
				if n := strings.Count(log.String(), state.NameDamaged); n != 1 {
					t.Errorf("the log says %d times that it was set aside: %q", n, log)
				}
			})
		}
	}
}

// readAllParts reads all parts of a store and returns the error.
func readAllParts(t testing.TB, s *state.Store) error {
	return s.View(t.Context(), func(tx *state.Tx) error {
		for a, err := range tx.Attachments() {
			if err != nil {
				return err
			}
			if _, err := tx.OfContainer(a.Containers[0]); err != nil {
				return err
			}
		}
		return nil
	})
}

// TestDamagedDatabaseIsSetAsideOnce makes many transactions find the damage at
// once: the others do not touch the database that the first one made.
func TestDamagedDatabaseIsSetAsideOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Log = slog.New(slog.DiscardHandler)
	fillStore(t, s, 10)
	rewriteDatabase(t, s, func(data []byte) []byte { return data[:5000] })
	var wg sync.WaitGroup
	for i := range uint64(8) {
		wg.Go(func() {
			put := func(tx *state.Tx) error { return tx.Put(attachment(i, "net1", "c")) }
			if err := errors.Join(readAllParts(t, s), s.Update(t.Context(), put)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	n := 0
	mustView(t, s, func(tx *state.Tx) error {
		for range tx.Attachments() {
			n++
		}
		return nil
	})
	if n != 8 {
		t.Errorf("%d attachments, want the 8 that were put after it was found damaged", n)
	}
}

func rewriteDatabase(t testing.TB, s *state.Store, change func([]byte) []byte) {
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
// pages, so damage may also look like other data; but no transaction may crash
// the process, and the second one works.
func TestDamagedAnywhere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		s := newStore(t)
		s.Log = slog.New(slog.DiscardHandler)
		fillStore(t, s, 300)
		random := rand.New(rand.NewPCG(seed, 7))
		rewriteDatabase(t, s, func(data []byte) []byte {
			pages := len(data) / os.Getpagesize()
			for range 3 {
				page := data[(2+random.IntN(pages-2))*os.Getpagesize():][:os.Getpagesize()]
				for i := range page[:64] {
					page[i] = byte(random.Uint32())
				}
			}
			return data
		})
		try := useAllParts
		if seed%2 == 1 {
			try = readAllParts
		}
		first, second := try(t, s), try(t, s)
		if first != nil && !errors.Is(first, state.ErrDamaged) || second != nil {
			t.Errorf("seed %d: %v, then %v; want ErrDamaged or nil, then nil", seed, first, second)
		}
	}
}

func TestAnotherBootsDatabaseIsSetAside(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	s.Log = slog.New(slog.DiscardHandler)
	fillStore(t, s, 3)
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
	mustView(t, s, empty)
	mustUpdate(t, s, empty)
	mustView(t, s, empty)
	if _, err := os.Stat(filepath.Join(s.Dir(), state.NameOld)); err != nil {
		t.Errorf("it was not set aside: %v", err)
	}
}

func TestAnotherLayoutIsRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	fillStore(t, s, 3)
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
