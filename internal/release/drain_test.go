package release

import (
	"os"
	"slices"
	"testing"
	"time"

	"berth/internal/state"
)

func TestDrainWithoutAnAgent(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	r := &Releaser{Store: s, Host: f, BPFFS: t.TempDir()}
	must(t, r.Container(t.Context(), "c"))
	must(t, r.Drain(t.Context()))
	checkNothingHeld(t, s)
	if all := endedRecords(t, s); len(all) != 1 || all[0].Final != nil {
		t.Errorf("ended: %+v, want one without counts", all)
	}
}

// TestDrainWaits checks that Drain neither blocks nor acts early.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	f.put(recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}}))
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	must(t, r.Drain(t.Context()))
	unkeyed := endedRecords(t, s)[0].Unkeyed
	must(t, r.Drain(t.Context()))
	if slices.Contains(f.log, "counters") && time.Since(unkeyed) < grace {
		t.Error("the counts were final before the grace was over")
	}
	must(t, r.drainToEnd(t.Context()))
	if since := time.Since(unkeyed); since < grace {
		t.Errorf("drained after %s, want at least %s", since, grace)
	}
	checkNothingHeld(t, s)
}

// TestDrainAfterClockStep sets the time of day back between the two steps of a
// drain, as another process's record shows it: the grace period still passes,
// even for a record that has only the time of day.
func TestDrainAfterClockStep(t *testing.T) {
	t.Parallel()
	for name, boot := range map[string]bool{"boot clock": true, "time of day alone": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStore(t), newFake()
			f.put(recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}}))
			r := f.releaser(s)
			must(t, r.Container(t.Context(), "c"))
			must(t, r.Drain(t.Context()))
			must(t, s.Update(t.Context(), func(tx *state.Tx) error {
				all, err := tx.Draining()
				if err != nil || len(all) != 1 {
					t.Fatalf("draining: %+v, %v; want one", all, err)
				}
				all[0].Unkeyed = time.Now().Add(time.Hour).UTC()
				if !boot {
					all[0].UnkeyedBoot = 0
				}
				return tx.Put(all[0])
			}))
			next, err := r.drainDue(t.Context(), new(Report))
			must(t, err)
			if next > grace {
				t.Errorf("the next drain is in %s, want at most %s", next, grace)
			}
			must(t, r.drainToEnd(t.Context()))
			checkNothingHeld(t, s)
		})
	}
}

// TestDrainComesToRest checks that a Drain with nothing to do writes nothing, so
// that a process that drains at each change stops.
func TestDrainComesToRest(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	f.put(recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}}))
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	must(t, r.drainToEnd(t.Context()))
	before, err := os.Stat(s.Changed())
	must(t, err)
	_, err = r.Collect(t.Context(), 0)
	must(t, err)
	after, err := os.Stat(s.Changed())
	must(t, err)
	if !before.ModTime().Equal(after.ModTime()) {
		t.Error("a run with nothing to do announced a change")
	}
}

func TestPrune(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	must(t, r.drainToEnd(t.Context()))
	if n := len(endedRecords(t, s)); n != 1 {
		t.Fatalf("%d ended records, want 1", n)
	}
	r.KeepEnded = time.Nanosecond
	done, err := r.Collect(t.Context(), 0)
	must(t, err)
	if n := len(endedRecords(t, s)); n != 0 || done.Pruned != 1 {
		t.Errorf("%d ended records, %+v; want it pruned", n, done)
	}
}

// TestNoDrainBeforeCountsAreTakenOver ends a container while the agent that replaces the maps is dead:
// its slot is drained after another agent has taken the counts over, and not before.
func TestNoDrainBeforeCountsAreTakenOver(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	recordPair(t, s, f)
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	f.lacking = true
	must(t, r.drainToEnd(t.Context()))
	if _, err := r.Collect(t.Context(), 0); err != nil {
		t.Error(err)
	}
	for _, a := range endedRecords(t, s) {
		if a.Final != nil || a.Slot == 0 {
			t.Errorf("drained too early: %+v", a)
		}
	}
	f.lacking = false
	must(t, r.drainToEnd(t.Context()))
	checkNothingHeld(t, s)
	for _, a := range endedRecords(t, s) {
		if a.Final == nil || *a.Final != someCounters || a.Slot != 0 {
			t.Errorf("after it: %+v, want the counts", a)
		}
	}
}
