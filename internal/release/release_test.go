package release

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// recordPair records two attachments of one container in one namespace, on a VLAN
// that berth made.
func recordPair(t testing.TB, s *state.Store, f *fake) (one, two *state.Attachment) {
	t.Helper()
	base := state.Attachment{Cookie: 5, NSID: 3, Containers: []string{"c"}, Parent: "eth1.100", ParentIndex: 9, TrunkIndex: 7, VLAN: 100}
	a, b := base, base
	a.Interface, a.LinkIndex, b.Interface, b.LinkIndex = "net1", 2, "net2", 3
	one, two = recordAttached(t, s, &a), recordAttached(t, s, &b)
	f.put(one)
	f.put(two)
	return one, two
}

// TestReleaseOrder checks the preconditions of each step.
func TestReleaseOrder(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	one, _ := recordPair(t, s, f)
	f.before = func(what string) {
		// Only a step outside a transaction may read the store.
		if strings.HasPrefix(what, "delete") && liveRecord(t, s, one.Key()) == nil {
			t.Errorf("%s: the record had ended before", what)
		}
	}
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	must(t, r.drainToEnd(t.Context()))
	want := []string{"look", "delete link", "look", "delete link", "parent", "occupants", "delete VLAN", "parent",
		"unregister", "unregister", "counters", "violations", "counters", "violations", "zero", "zero"}
	if diff := cmp.Diff(want, f.log); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	checkNothingHeld(t, s)
	for _, a := range endedRecords(t, s) {
		if a.Final == nil || *a.Final != someCounters || a.FinalViolations[specs.MACSpoof] != 2 || a.FinalDropped[specs.MACSpoof] != 1 || a.Containers[0] != "c" {
			t.Errorf("ended: %+v, want the counts kept", a)
		}
	}
	must(t, r.Container(t.Context(), "c"))
	must(t, r.Attachment(t.Context(), one.Key()))
}

// TestReleasesAreMarkedBeforeTheLinkIsDeleted checks that a process which is killed after it has
// deleted a link leaves a record that says so. Otherwise, if the parent has moved meanwhile, the
// link would be taken for one that vanished with its parent, and be made again.
func TestReleasesAreMarkedBeforeTheLinkIsDeleted(t *testing.T) {
	t.Parallel()
	for name, release := range map[string]func(*Releaser, context.Context) error{
		"of an attachment": func(r *Releaser, ctx context.Context) error { return r.Attachment(ctx, state.Key(5, "net1")) },
		"of a container":   func(r *Releaser, ctx context.Context) error { return r.Container(ctx, "c") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, f := newStore(t), newFake()
			one, _ := recordPair(t, s, f)
			deleted := false
			f.before = func(what string) {
				if what != "delete link" || deleted {
					return
				}
				deleted = true
				if a := liveRecord(t, s, one.Key()); a == nil || !a.Leaving {
					t.Errorf("the record is %+v before the link is deleted, want it marked", a)
				}
			}
			must(t, release(f.releaser(s), t.Context()))
			if !deleted {
				t.Error("no link was deleted")
			}
		})
	}
}

// TestARefusedDeletionIsNotTakenBack cannot delete the link of a container that goes on running: the
// record stays marked and holds its address until a later run deletes the link.
func TestARefusedDeletionIsNotTakenBack(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	one, two := recordPair(t, s, f)
	f.failAt = 2 // the deletion
	r := f.releaser(s)
	if err := r.Attachment(t.Context(), one.Key()); !errors.Is(err, errInjected) {
		t.Fatalf("%v, want the injected error", err)
	}
	a := liveRecord(t, s, one.Key())
	if a == nil || !a.Leaving || len(f.namespaces[3]) != 2 {
		t.Fatalf("the record is %+v with the links %v, want it marked, with its link", a, f.namespaces[3])
	}
	if vanished, err := r.Vanished(t.Context(), a); vanished || err != nil {
		t.Errorf("the attachment is made again (%v)", err)
	}
	done, err := r.Collect(t.Context(), time.Minute)
	if err != nil || !slices.Equal(done.Released, []string{one.Key()}) {
		t.Errorf("released %q, %v; want %q", done.Released, err, one.Key())
	}
	if liveRecord(t, s, one.Key()) != nil || liveRecord(t, s, two.Key()) == nil || len(f.namespaces[3]) != 1 {
		t.Errorf("links %v are left, want that of %s alone", f.namespaces[3], two.Key())
	}
}

// TestFailureAtEveryStep makes each call to the kernel fail once, and checks that
// another run continues and that no count is lost.
func TestFailureAtEveryStep(t *testing.T) {
	t.Parallel()
	for failAt := 1; ; failAt++ {
		s, f := newStore(t), newFake()
		recordPair(t, s, f)
		r := f.releaser(s)
		f.failAt = failAt
		err := errors.Join(r.Container(t.Context(), "c"), r.drainToEnd(t.Context()))
		if f.calls < failAt {
			must(t, err)
			if failAt < 10 {
				t.Errorf("only %d calls were made to fail", failAt-1)
			}
			return
		}
		what := f.log[failAt-1]
		if !errors.Is(err, errInjected) {
			t.Errorf("%d (%s): %v, want the injected error", failAt, what, err)
		}
		if _, err := r.Collect(t.Context(), 0); err != nil {
			t.Errorf("%d (%s): Collect: %v", failAt, what, err)
		}
		checkNothingHeld(t, s)
		if len(f.namespaces[3]) > 0 || len(f.parents) > 0 || len(f.keys) > 0 || len(f.counters) > 0 {
			t.Errorf("%d (%s): left behind: %+v", failAt, what, f)
		}
		for _, a := range endedRecords(t, s) {
			if a.Final == nil || *a.Final != someCounters {
				t.Errorf("%d (%s): final counts %+v, want %+v", failAt, what, a.Final, someCounters)
			}
		}
	}
}

func TestSharedNamespace(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"pod", "app"}})
	f.put(a)
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "none"))
	must(t, r.Container(t.Context(), "pod"))
	must(t, r.Container(t.Context(), "pod"))
	if now := liveRecord(t, s, a.Key()); now == nil || !slices.Equal(now.Containers, []string{"app"}) || now.Leaving {
		t.Errorf("after the first has left: %+v, want it with \"app\" alone", now)
	}
	if len(f.log) != 0 {
		t.Errorf("the kernel was asked to %v", f.log)
	}
	must(t, r.Container(t.Context(), "app"))
	must(t, r.drainToEnd(t.Context()))
	checkNothingHeld(t, s)
}

// TestReleaseSparesNewAttachment checks that a release does not touch a new attachment of the
// same key.
func TestReleaseSparesNewAttachment(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	must(t, s.Update(t.Context(), func(tx *state.Tx) error {
		return errors.Join(endRecord(tx, first, time.Now()), endRecord(tx, first, time.Now()))
	}))
	second := recordAttached(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 5, ParentIndex: 4, Containers: []string{"d"}})
	must(t, s.Update(t.Context(), func(tx *state.Tx) error { return endRecord(tx, first, time.Now()) }))
	if now := liveRecord(t, s, second.Key()); now == nil || now.LinkIndex != 5 {
		t.Errorf("the new attachment: %+v, want it untouched", now)
	}
	if second.Slot == first.Slot {
		t.Errorf("slot %d was given again before it was drained", first.Slot)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	a := &state.Attachment{
		Cookie: 5, Slot: 2, ParentIndex: 9, TrunkIndex: 7, VLAN: 100, MAC: specs.MAC{2}, Driver: specs.Macvlan, Mode: specs.ModeVEPA,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}, SourceMACs: []specs.MAC{{2, 9}},
		IPv6: specs.IPv6SLAAC, Enforce: []specs.Kind{specs.RogueRA}, Allow: []specs.Allowance{specs.AllowDHCPServer},
	}
	e := Endpoint(a)
	if e.OfVLAN != (bpf.VLAN{TrunkIndex: 7, ID: 100}) || !slices.Equal(e.Sources, a.SourceMACs) {
		t.Errorf("endpoint %+v: want its VLAN left to it, and its list", e)
	}
	if e.IPv6 != a.IPv6 || !slices.Equal(e.Enforce, a.Enforce) || !slices.Equal(e.Allow, a.Allow) {
		t.Errorf("endpoint %+v: want what its network says of violations", e)
	}
	if e.Slot != 2 || e.ParentIndex != 9 || e.VLAN != 0 || e.MAC != a.MAC || e.Cookie != 5 || e.Mode != specs.ModeVEPA ||
		!slices.Equal(e.Addresses, []netip.Addr{netip.MustParseAddr("192.0.2.5")}) {
		t.Errorf("endpoint %+v: want the sub-interface counted, where its frames have no tag", e)
	}
}
