package release

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// TestStopOfDeadNamespace checks that the records of a container whose namespace ended are ended by
// one transaction, without a mark before.
func TestStopOfDeadNamespace(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	f.keys[a.MAC], f.counters[a.Slot] = a.Slot, someCounters
	f.before = func(what string) {
		if now := liveRecord(t, s, a.Key()); now == nil || now.Leaving {
			t.Errorf("%s: the record is %+v, want it unchanged", what, now)
		}
	}
	r := f.releaser(s)
	_, err, collectErr := r.Stop(t.Context(), "c", time.Minute)
	must(t, errors.Join(err, collectErr))
	if diff := cmp.Diff([]string{"look", "parent's MACs"}, f.log); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if now := liveRecord(t, s, a.Key()); now != nil {
		t.Errorf("live: %+v, want it ended", now)
	}
	f.before = nil
	must(t, r.drainToEnd(t.Context()))
	checkNothingHeld(t, s)
	if ended := endedRecords(t, s); len(ended) != 1 || ended[0].Final == nil || *ended[0].Final != someCounters {
		t.Errorf("ended: %+v, want one with its counts", ended)
	}
}

// TestStopMarksFirst checks that a record is marked before anything is released, unless nothing but
// the record is left.
func TestStopMarksFirst(t *testing.T) {
	t.Parallel()
	lease := &specs.DHCPLease{Address: netip.MustParsePrefix("192.0.2.9/24"), Lifetime: specs.Forever}
	for name, change := range map[string]func(*fake, *state.Attachment){
		"the link exists":      func(f *fake, a *state.Attachment) { f.put(a) },
		"the link was deleted": func(f *fake, _ *state.Attachment) { f.namespaces[3] = map[string]network.LinkInfo{} },
		"the link was moved": func(f *fake, a *state.Attachment) {
			f.namespaces[8] = map[string]network.LinkInfo{"x": {MAC: a.MAC, ParentIndex: a.ParentIndex}}
		},
		"the look failed": func(f *fake, _ *state.Attachment) { f.failAt = 1 },
		"a VLAN":          func(_ *fake, a *state.Attachment) { a.TrunkIndex, a.VLAN = 7, 100 },
		"a lease": func(_ *fake, a *state.Attachment) {
			a.DHCP = []state.DHCPClient{{Release: true, Lease: lease}}
		},
		"the parent's MAC": func(_ *fake, a *state.Attachment) { a.Driver = specs.IPvlan },
	} {
		s, f := newStore(t), newFake()
		a := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
		change(f, a)
		must(t, s.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(a) }))
		var marked []bool
		f.before = func(string) {
			if now := liveRecord(t, s, a.Key()); now != nil {
				marked = append(marked, now.Leaving)
			}
		}
		_, err, collectErr := f.releaser(s).Stop(t.Context(), "c", time.Minute)
		if name == "the link was moved" {
			if errors.Join(err, collectErr) == nil && liveRecord(t, s, a.Key()) != nil {
				t.Errorf("%s: no error, and the record is left", name)
			}
		} else if must(t, errors.Join(err, collectErr)); liveRecord(t, s, a.Key()) != nil {
			t.Errorf("%s: the record is left", name)
		}
		if !slices.Contains(marked, true) {
			t.Errorf("%s: marked at the calls to the kernel: %v, want it marked", name, marked)
		}
	}
}

// TestStopSharesNamespace checks that a container that shares a dead attachment leaves the record to
// the other one.
func TestStopSharesNamespace(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"pod", "app"}})
	r := f.releaser(s)
	_, err, collectErr := r.Stop(t.Context(), "pod", 0)
	must(t, errors.Join(err, collectErr))
	if now := liveRecord(t, s, a.Key()); now == nil || !slices.Equal(now.Containers, []string{"app"}) {
		t.Fatalf("after the first has left: %+v, want it with \"app\" alone", now)
	}
	_, err, collectErr = r.Stop(t.Context(), "app", 0)
	must(t, errors.Join(err, collectErr))
	if now := liveRecord(t, s, a.Key()); now != nil {
		t.Errorf("after the last has left: %+v", now)
	}
}

// TestStopSeesChange checks that a record is not ended by a look at an earlier one: another process
// changes it between both.
func TestStopSeesChange(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	f.before = func(what string) {
		if what != "parent's MACs" {
			return
		}
		f.before = nil
		joined := *a
		joined.Containers = []string{"c", "d"}
		must(t, s.Update(t.Context(), func(tx *state.Tx) error { return tx.Put(&joined) }))
	}
	_, err, collectErr := f.releaser(s).Stop(t.Context(), "c", 0)
	must(t, errors.Join(err, collectErr))
	if now := liveRecord(t, s, a.Key()); now == nil || !slices.Equal(now.Containers, []string{"d"}) {
		t.Errorf("the record is %+v, want it with \"d\" alone", now)
	}
}
