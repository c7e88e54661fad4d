package release

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"berth/internal/state"
	"berth/specs"
)

// TestReusedNamespaceID checks that a link of another namespace is left.
func TestReusedNamespaceID(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	f.put(a)
	link := f.namespaces[3]["net1"]
	link.Alias, link.MAC = "berth:0000000000000006/net1", specs.MAC{2, 0, 0x5e, 0, 0x53, 9}
	f.namespaces[3]["net1"] = link
	done, err := f.releaser(s).Collect(t.Context(), 0)
	must(t, err)
	if !slices.Equal(done.Released, []string{a.Key()}) || done.Drained != 1 || done.Partial {
		t.Errorf("done: %+v", done)
	}
	if len(f.namespaces[3]) != 1 {
		t.Error("the other namespace's link was deleted")
	}
	checkNothingHeld(t, s)
}

// TestAttaching collects an attachment whose maker was killed half-way, and
// leaves one whose maker lives.
func TestAttaching(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	dead := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: -1, Phase: specs.PhaseAttaching, ParentIndex: 4, Containers: []string{"c"}})
	living := recordAttached(t, s, &state.Attachment{Cookie: 6, NSID: 4, Phase: specs.PhaseAttaching, ParentIndex: 4, Containers: []string{"d"}})
	unlock, err := s.Hold(t.Context(), living.Key())
	must(t, err)
	r := f.releaser(s)
	done, err := r.Collect(t.Context(), 0)
	must(t, err)
	if !slices.Equal(done.Released, []string{dead.Key()}) {
		t.Errorf("released %v, want the dead maker's", done.Released)
	}
	if liveRecord(t, s, living.Key()) == nil {
		t.Error("the attachment of a living maker was released")
	}
	unlock()
	_, err = r.Collect(t.Context(), 0)
	must(t, err)
	checkNothingHeld(t, s)
	if all := endedRecords(t, s); len(all) != 0 {
		t.Errorf("%d records are kept of what was never attached", len(all))
	}
}

func TestHoldsOfTheDeadAreSwept(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	must(t, s.Prepare())
	dir := filepath.Join(s.Dir(), "attaching")
	must(t, errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "0000000000000005@net1"), nil, 0o600)))
	_, err := f.releaser(s).Collect(t.Context(), 0)
	must(t, err)
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestUnusableStoreIsOneError(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "berth")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, bound := range []time.Duration{0, time.Minute} {
		r := Releaser{Store: state.Open(file)}
		_, err := r.Collect(t.Context(), bound)
		if !errors.Is(err, state.ErrUnsafe) || strings.Count(err.Error(), file) != 1 {
			t.Errorf("bound %s: %v; want ErrUnsafe once", bound, err)
		}
	}
}

func TestBoundedCollectStops(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	for i := range uint64(40) {
		recordAttached(t, s, &state.Attachment{Cookie: i + 1, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	}
	slow := time.NewTicker(time.Millisecond)
	defer slow.Stop()
	f.before = func(string) { <-slow.C }
	r := f.releaser(s)
	done, err := r.Collect(t.Context(), 10*time.Millisecond)
	must(t, err)
	if !done.Partial || len(done.Released) == 40 {
		t.Errorf("within 10ms: %+v", done)
	}
	f.before = nil
	_, err = r.Collect(t.Context(), 0)
	must(t, err)
	checkNothingHeld(t, s)
}
