package state_test

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"berth/internal/state"
	"berth/specs"
)

func newStore(t testing.TB) *state.Store {
	t.Helper()
	return state.Open(filepath.Join(t.TempDir(), "berth"))
}

func mustUpdate(t testing.TB, s *state.Store, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := s.Update(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func mustView(t testing.TB, s *state.Store, fn func(tx *state.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), fn); err != nil {
		t.Fatal(err)
	}
}

func attachment(cookie uint64, ifname string, containers ...string) *state.Attachment {
	return &state.Attachment{
		Cookie: cookie, NSID: -1, Interface: ifname, Containers: containers,
		Phase: specs.PhaseAttached, Created: time.Unix(int64(cookie%1e9), 0),
	}
}

func keysOf(all []*state.Attachment) (keys []string) {
	for _, a := range all {
		keys = append(keys, a.Key())
	}
	return keys
}

func TestViewBeforeTheFirstUpdateIsEmptyAndMakesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "berth")
	s := state.Open(dir)
	mustView(t, s, func(tx *state.Tx) error {
		if _, err := tx.Attachment("x"); !errors.Is(err, state.ErrNotFound) {
			t.Errorf("attachment: %v, want ErrNotFound", err)
		}
		for a := range tx.Attachments() {
			t.Errorf("found %v", a)
		}
		of, err := tx.OfContainer("c")
		return errors.Join(err, expectf(len(of) == 0, "%d attachments of a container", len(of)))
	})
	if found, _ := filepath.Glob(dir); found != nil {
		t.Errorf("View made %v", found)
	}
}

func expectf(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func TestPutAndFind(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a, b, c := attachment(1, "net1", "one", "two"), attachment(1, "net2", "one"), attachment(17, "net1", "oneandmore")
	mustUpdate(t, s, func(tx *state.Tx) error { return errors.Join(tx.Put(c), tx.Put(a), tx.Put(b)) })
	mustView(t, s, func(tx *state.Tx) error {
		found, err := tx.Attachment(a.Key())
		if diff := cmp.Diff(a, found, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("attachment (-put +found):\n%s", diff)
		}
		one, err1 := tx.OfContainer("one")
		two, err2 := tx.OfContainer("two")
		ns, err3 := tx.InNamespace(1)
		if diff := cmp.Diff([][]string{keysOf(one), keysOf(two), keysOf(ns)},
			[][]string{keysOf([]*state.Attachment{a, b}), keysOf([]*state.Attachment{a}), keysOf([]*state.Attachment{a, b})}); diff != "" {
			t.Errorf("found (-found +want):\n%s", diff)
		}
		return errors.Join(err, err1, err2, err3)
	})
	a.Containers = []string{"two"}
	mustUpdate(t, s, func(tx *state.Tx) error { return errors.Join(tx.Put(a), tx.Delete(b.Key()), tx.Delete("none")) })
	mustView(t, s, func(tx *state.Tx) error {
		one, err := tx.OfContainer("one")
		return errors.Join(err, expectf(len(one) == 0, "container that left has %v", keysOf(one)))
	})
}

func TestEndedRecordDoesNotBlockTheKey(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first, second := attachment(1, "net1", "a"), attachment(1, "net1", "b")
	second.Created = first.Created.Add(time.Second)
	mustUpdate(t, s, func(tx *state.Tx) error { first.Slot = 3; return tx.Put(first) })
	first.Phase, first.Ended = specs.PhaseEnded, time.Unix(100, 1)
	mustUpdate(t, s, func(tx *state.Tx) error { return tx.Put(first) })
	mustUpdate(t, s, func(tx *state.Tx) error { return tx.Put(second) })
	mustUpdate(t, s, func(tx *state.Tx) error { first.Slot = 0; return tx.Put(first) })
	mustView(t, s, func(tx *state.Tx) error {
		live, err := tx.Attachment(second.Key())
		if err != nil || !live.Created.Equal(second.Created) {
			t.Errorf("live: %v %v, want the second", live, err)
		}
		var phases []specs.Phase
		for a, err := range tx.Attachments() {
			phases = append(phases, a.Phase)
			if err != nil {
				t.Error(err)
			}
		}
		if diff := cmp.Diff([]specs.Phase{specs.PhaseAttached, specs.PhaseEnded}, phases); diff != "" {
			t.Errorf("phases (-want +got):\n%s", diff)
		}
		draining, err := tx.Draining()
		return errors.Join(err, expectf(len(draining) == 0, "%d draining, want 0: its slot is 0", len(draining)))
	})
}

func TestUnsettledAndDraining(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	making, leaving, settled, ended := attachment(1, "net1"), attachment(2, "net1"), attachment(3, "net1"), attachment(4, "net1")
	making.Phase, leaving.Leaving = specs.PhaseAttaching, true
	ended.Phase, ended.Slot, ended.Ended = specs.PhaseEnded, 1, time.Unix(1, 0)
	mustUpdate(t, s, func(tx *state.Tx) error {
		return errors.Join(tx.Put(making), tx.Put(leaving), tx.Put(settled), tx.Put(ended))
	})
	mustView(t, s, func(tx *state.Tx) error {
		unsettled, err1 := tx.Unsettled()
		draining, err2 := tx.Draining()
		got := [][]string{keysOf(unsettled), keysOf(draining)}
		want := [][]string{{making.Key(), leaving.Key()}, {ended.Key()}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("unsettled, draining (-want +got):\n%s", diff)
		}
		return errors.Join(err1, err2)
	})
}

func TestPruneKeepsTheNewestAndTheDraining(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	mustUpdate(t, s, func(tx *state.Tx) error {
		var errs []error
		for i := range uint64(10) {
			a := attachment(i, "net1")
			a.Phase, a.Ended = specs.PhaseEnded, time.Unix(int64(i), 0)
			if i == 0 {
				a.Slot = 5
			}
			errs = append(errs, tx.Put(a))
		}
		return errors.Join(errs...)
	})
	mustUpdate(t, s, func(tx *state.Tx) error {
		n, err := tx.Prune(time.Unix(2, 0), 5)
		return errors.Join(err, expectf(n == 4, "pruned %d, want 4 (1 to 4)", n))
	})
	mustUpdate(t, s, func(tx *state.Tx) error {
		n, err := tx.Prune(time.Unix(9, 0), 5)
		return errors.Join(err, expectf(n == 4, "pruned %d, want 4 (5 to 8)", n))
	})
	mustView(t, s, func(tx *state.Tx) error {
		var left []uint64
		for a, err := range tx.Ended() {
			if err != nil {
				return err
			}
			left = append(left, a.Cookie)
		}
		if diff := cmp.Diff([]uint64{9, 0}, left); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
		return nil
	})
}

func TestRollbackAndNoAnnouncement(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	cause := errors.New("no")
	err := s.Update(t.Context(), func(tx *state.Tx) error {
		return errors.Join(tx.Put(attachment(1, "net1")), cause)
	})
	if !errors.Is(err, cause) {
		t.Errorf("Update: %v, want the function's error", err)
	}
	if found, _ := filepath.Glob(s.Changed()); found != nil {
		t.Error("a transaction that was rolled back was announced")
	}
	mustView(t, s, func(tx *state.Tx) error {
		_, err := tx.Attachment(attachment(1, "net1").Key())
		return expectf(errors.Is(err, state.ErrNotFound), "after rollback: %v", err)
	})
	mustUpdate(t, s, func(*state.Tx) error { return nil })
	if found, _ := filepath.Glob(s.Changed()); len(found) != 1 {
		t.Error("a commit was not announced")
	}
}

func TestVLANUsers(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	remove := func(id int, key string, last, made bool) {
		t.Helper()
		mustUpdate(t, s, func(tx *state.Tx) error {
			l, m, err := tx.RemoveVLANUser(4, id, key)
			return errors.Join(err, expectf(l == last && m == made, "last %v made %v, want %v %v", l, m, last, made))
		})
	}
	mustUpdate(t, s, func(tx *state.Tx) error {
		return errors.Join(tx.AddVLANUser(4, 100, "a", true), tx.AddVLANUser(4, 100, "b", false),
			tx.AddVLANUser(4, 10, "a", false), tx.AddVLANUser(4, 10, "a", false))
	})
	remove(100, "none", false, false)
	remove(100, "a", false, true)
	remove(100, "a", false, false)
	remove(100, "b", true, true)
	remove(10, "a", true, false)
	mustUpdate(t, s, func(tx *state.Tx) error { return tx.AddVLANUser(4, 100, "c", false) })
	remove(100, "c", true, false)
	mustUpdate(t, s, func(tx *state.Tx) error {
		return errors.Join(tx.AddVLANUser(4, 7, "d", true), tx.DisownVLAN(4, 7), tx.AddVLANUser(4, 7, "e", false), tx.DisownVLAN(4, 8))
	})
	remove(7, "d", false, false)
	remove(7, "e", true, false)
	remove(8, "d", false, false)
}

// TestVersion: Views have the same version until the database changes.
func TestVersion(t *testing.T) {
	s := newStore(t)
	version := func() (v state.Version) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *state.Tx) error { v = tx.Version(); return nil }); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := version(); v != (state.Version{}) {
		t.Errorf("without a database it is %+v", v)
	}
	seen := make(map[state.Version]bool)
	for cookie := range uint64(5) {
		err := s.Update(t.Context(), func(tx *state.Tx) error {
			return tx.Put(&state.Attachment{Cookie: cookie, Interface: "net1", Phase: specs.PhaseAttached})
		})
		if err != nil {
			t.Fatal(err)
		}
		v := version()
		if seen[v] || v == (state.Version{}) || version() != v {
			t.Errorf("after change %d it is %+v, and then %+v", cookie, v, version())
		}
		seen[v] = true
	}
}
