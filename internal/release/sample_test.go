package release

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"berth/internal/state"
	"berth/specs"
)

func readSample(t *testing.T, s *state.Store) (sample Sample) {
	t.Helper()
	must(t, s.View(t.Context(), func(tx *state.Tx) error {
		sample = ReadSample(tx)
		return nil
	}))
	return sample
}

// TestSamplesCoverAllRecords checks that runs that each read a few records together release
// all abandoned ones.
func TestSamplesCoverAllRecords(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	for i := range uint64(5 * perSample) {
		recordAttached(t, s, &state.Attachment{Cookie: 100 + i, NSID: int(i), LinkIndex: 2, ParentIndex: 4, Containers: []string{fmt.Sprint(i)}})
	}
	r := f.releaser(s)
	for deadline := time.Now().Add(2 * time.Minute); ; {
		sample := readSample(t, s)
		if len(sample.some) == 0 {
			break
		}
		if len(sample.some) > perSample {
			t.Fatalf("a sample has %d records, want at most %d", len(sample.some), perSample)
		}
		_, err := r.CollectSample(t.Context(), sample, time.Second)
		must(t, err)
		if time.Now().After(deadline) {
			t.Fatalf("still there: %+v", sample)
		}
	}
	must(t, r.drainToEnd(t.Context()))
	checkNothingHeld(t, s)
}

// TestStopReleasesAbandoned checks that a stop releases the container and an
// attachment that another process left half-way, and reports both.
func TestStopReleasesAbandoned(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	own := &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}}
	dead := &state.Attachment{Cookie: 6, NSID: -1, ParentIndex: 4, Containers: []string{"d"}, Phase: specs.PhaseAttaching}
	recordAttached(t, s, own)
	recordAttached(t, s, dead)
	f.put(own)
	r := f.releaser(s)
	done, err, collectErr := r.Stop(t.Context(), "c", time.Second)
	must(t, err)
	must(t, collectErr)
	if !slices.Equal(done.Released, []string{dead.Key()}) {
		t.Errorf("released %q of others, want %q", done.Released, dead.Key())
	}
	if len(f.namespaces[3]) != 0 {
		t.Error("the container's own link is there still")
	}
	must(t, r.drainToEnd(t.Context()))
	checkNothingHeld(t, s)
}

// TestSampleLeavesDrainingToTheAgent checks that a run drains a slot that has
// waited for long, and not one that was just freed.
func TestSampleLeavesDrainingToTheAgent(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	for _, c := range []struct {
		ended time.Duration
		want  bool
	}{{0, false}, {2 * undrainedLong, true}} {
		a := &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"},
			Slot: 1, Phase: specs.PhaseEnded, Ended: time.Now().Add(-c.ended)}
		must(t, s.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(a) }))
		sample := readSample(t, s)
		if sample.drain != c.want {
			t.Errorf("ended %s ago: to drain: %t, want %t", c.ended, sample.drain, c.want)
		}
	}
	r := f.releaser(s)
	if _, err := r.CollectSample(t.Context(), readSample(t, s), time.Second); err != nil {
		t.Error(err)
	}
	if len(f.log) == 0 {
		t.Error("nothing was drained")
	}
}
