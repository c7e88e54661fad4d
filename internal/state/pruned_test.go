package state_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/internal/state"
	"berth/specs"
)

// endedRun returns one run of a container, ended at second end, or live if end is 0.
func endedRun(cookie uint64, container string, end int64, packets uint64) *state.Attachment {
	a := attachment(cookie, "net1", container)
	a.Network, a.Parent = "lan", "eth1"
	if end != 0 {
		a.Phase, a.Ended = specs.PhaseEnded, time.Unix(end, 0)
		a.Final, a.FinalViolations = new(countersOf(packets)), map[specs.Kind]uint64{specs.MACSpoof: packets}
		a.FinalDropped = map[specs.Kind]uint64{specs.MACSpoof: packets}
	}
	return a
}

func countersOf(n uint64) (c specs.Counters) {
	c.Transmit.External.Unicast = specs.Count{Packets: n, Bytes: 100 * n}
	return c
}

func putAll(t *testing.T, s *state.Store, all ...*state.Attachment) {
	t.Helper()
	mustUpdate(t, s, func(tx *state.Tx) error {
		var errs []error
		for _, a := range all {
			errs = append(errs, tx.Put(a))
		}
		return errors.Join(errs...)
	})
}

func pruneBefore(t *testing.T, s *state.Store, before int64, want int) {
	t.Helper()
	mustUpdate(t, s, func(tx *state.Tx) error {
		n, err := tx.Prune(time.Unix(before, 0), 1000)
		return errors.Join(err, expectf(n == want, "pruned %d, want %d", n, want))
	})
}

// prunedSums returns the sums of a scrape: by container, and of all violations.
func prunedSums(t *testing.T, s *state.Store) (packets map[string]uint64, violations uint64) {
	t.Helper()
	packets = make(map[string]uint64)
	mustView(t, s, func(tx *state.Tx) error {
		for a, err := range tx.Attachments() {
			if err != nil {
				return err
			}
			for _, c := range []*specs.Counters{a.Final, a.Earlier} {
				if c != nil {
					packets[a.Containers[0]] += c.Transmit.Total().Packets
				}
			}
			violations += a.FinalViolations[specs.MACSpoof]
		}
		pruned, err := tx.PrunedViolations()
		for series, n := range pruned {
			if series != (state.ViolationSeries{Kind: specs.MACSpoof, Parent: "eth1", Network: "lan"}) {
				t.Errorf("series %+v", series)
			}
			if n.Dropped != n.Packets {
				t.Errorf("of %d violations %d were dropped, want all", n.Packets, n.Dropped)
			}
			violations += n.Packets
		}
		return err
	})
	return packets, violations
}

func TestSumsOutliveTheRecords(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	putAll(t, s, endedRun(1, "web", 10, 5), endedRun(2, "web", 20, 7), endedRun(3, "db", 15, 100), endedRun(4, "web", 30, 1))
	for _, step := range []struct {
		before int64
		pruned int
		want   map[string]uint64
	}{
		{5, 0, map[string]uint64{"web": 13, "db": 100}},
		{18, 2, map[string]uint64{"web": 13}}, // the first run of web, and db
		{25, 1, map[string]uint64{"web": 13}},
		{40, 1, map[string]uint64{}},
	} {
		pruneBefore(t, s, step.before, step.pruned)
		packets, violations := prunedSums(t, s)
		if diff := cmp.Diff(step.want, packets); diff != "" || violations != 113 {
			t.Errorf("pruned before %d: %d violations, want 113; packets (-want +got):\n%s", step.before, violations, diff)
		}
	}
}

func TestSumsGoToTheLiveOne(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	live := endedRun(9, "web", 0, 0)
	live.Phase = specs.PhaseAttaching
	elsewhere := endedRun(8, "web", 0, 0)
	elsewhere.Parent = "eth2"
	putAll(t, s, endedRun(1, "web", 10, 5), live, elsewhere)
	pruneBefore(t, s, 40, 0) // its maker has read the record and would overwrite it
	live.Phase = specs.PhaseAttached
	putAll(t, s, live)
	pruneBefore(t, s, 40, 1)
	mustView(t, s, func(tx *state.Tx) error {
		got, err := tx.Attachment(live.Key())
		other, err2 := tx.Attachment(elsewhere.Key())
		return errors.Join(err, err2, expectf(got.Earlier != nil && *got.Earlier == countersOf(5), "earlier runs %+v", got.Earlier),
			expectf(other.Earlier == nil, "another parent's got %+v", other.Earlier))
	})
}

func TestNamesAreKept(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	live, ended, making := endedRun(1, "web", 0, 0), endedRun(2, "db", 10, 1), endedRun(3, "job", 0, 0)
	making.Phase = specs.PhaseAttaching
	gone := endedRun(4, "gone", 0, 0)
	putAll(t, s, live, ended, making)
	names := &state.Names{Name: "front", Labels: map[string]string{"app": "shop"}}
	mustUpdate(t, s, func(tx *state.Tx) error {
		return errors.Join(tx.SetNames(live, names), tx.SetNames(ended, names), tx.SetNames(making, names), tx.SetNames(gone, names))
	})
	named := map[string]bool{}
	mustView(t, s, func(tx *state.Tx) error {
		for key, stored := range tx.Stored() {
			a, err := state.Decode(key, stored)
			if err != nil {
				return err
			}
			named[a.Containers[0]] = cmp.Equal(a.Engine, names)
		}
		return nil
	})
	if want := map[string]bool{"web": true, "db": true, "job": false}; !cmp.Equal(want, named) {
		t.Errorf("named %v, want %v", named, want)
	}
}

func TestStoredIsAllOnce(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	a := endedRun(1, "web", 0, 0)
	again := endedRun(1, "web", 10, 1)
	again.Created = a.Created.Add(-time.Hour) // an earlier one with the same key
	putAll(t, s, again, a)
	var keys []string
	mustView(t, s, func(tx *state.Tx) error {
		for key := range tx.Stored() {
			keys = append(keys, string(key))
		}
		return nil
	})
	if len(keys) != 2 || len(slices.Compact(keys)) != 2 {
		t.Errorf("keys %q, want two", keys)
	}
}

func TestNowFindsRecordEndedSince(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	seen := endedRun(1, "web", 0, 0)
	ended := endedRun(1, "web", 10, 5)
	next := endedRun(1, "web", 0, 0) // with the same key
	next.Created = seen.Created.Add(time.Hour)
	now := func() (a *state.Attachment, err error) {
		mustView(t, s, func(tx *state.Tx) error { a, err = tx.Current(seen); return nil })
		return a, err
	}
	if _, err := now(); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("never there: %v", err)
	}
	for _, step := range []*state.Attachment{seen, ended, next} {
		putAll(t, s, step)
		if a, err := now(); err != nil || !a.Created.Equal(seen.Created) || a.Phase == specs.PhaseEnded != (step != seen) {
			t.Errorf("%+v, %v", a, err)
		}
	}
	seen = ended
	if a, err := now(); err != nil || a.Final == nil {
		t.Errorf("seen when it had ended: %+v, %v", a, err)
	}
}

// TestPruneReadsAContainerOnce prunes the records of a container that has had many interfaces: each of
// its records is decoded for its own removal and once as a possible heir, not once for each other.
func TestPruneReadsAContainerOnce(t *testing.T) {
	allocated := func(ended int) uint64 {
		s := newStore(t)
		mustUpdate(t, s, func(tx *state.Tx) error {
			for i := range ended {
				a := attachment(uint64(i), fmt.Sprint("net", i))
				a.Containers, a.Phase, a.Ended = []string{"one"}, specs.PhaseEnded, time.Unix(int64(i), 0)
				if err := tx.Put(a); err != nil {
					return err
				}
			}
			return nil
		})
		var before, after runtime.MemStats
		mustUpdate(t, s, func(tx *state.Tx) error {
			runtime.ReadMemStats(&before)
			n, err := tx.Prune(time.Unix(int64(ended), 0), 0)
			runtime.ReadMemStats(&after)
			return errors.Join(err, expectf(n == ended, "pruned %d, want %d", n, ended))
		})
		return after.Mallocs - before.Mallocs
	}
	if few, many := allocated(50), allocated(400); many > 16*few {
		t.Errorf("pruning 400 records allocates %d times, 50 records %d times: more than 16 times as often", many, few)
	}
}
