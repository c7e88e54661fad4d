package release

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"berth/bpf"
	"berth/internal/state"
	"berth/network"
	"berth/specs"
)

// pair records two attachments of one container in one namespace, on a VLAN
// that berth made.
func pair(t testing.TB, s *state.Store, f *fake) (one, two *state.Attachment) {
	t.Helper()
	base := state.Attachment{Cookie: 5, NSID: 3, Containers: []string{"c"}, Parent: "eth1.100", ParentIndex: 9, TrunkIndex: 7, VLAN: 100}
	a, b := base, base
	a.Interface, a.LinkIndex, b.Interface, b.LinkIndex = "net1", 2, "net2", 3
	one, two = record(t, s, &a), record(t, s, &b)
	f.put(one)
	f.put(two)
	return one, two
}

// TestOrder holds each step to what must be so when it is taken.
func TestOrder(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	one, _ := pair(t, s, f)
	f.before = func(what string) {
		// Only what is done outside a transaction may look at the store.
		if strings.HasPrefix(what, "delete") && live(t, s, one.Key()) == nil {
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
	for _, a := range ended(t, s) {
		if a.Final == nil || *a.Final != someCounters || a.FinalViolations[specs.MACSpoof] != 2 || a.Containers[0] != "c" {
			t.Errorf("ended: %+v, want the counts kept", a)
		}
	}
	must(t, r.Container(t.Context(), "c"))
	must(t, r.Attachment(t.Context(), one.Key()))
}

// TestFailureAtEveryStep makes each call to the kernel fail once, and finds
// that another run goes on and that no count is lost.
func TestFailureAtEveryStep(t *testing.T) {
	t.Parallel()
	for failAt := 1; ; failAt++ {
		s, f := newStore(t), newFake()
		pair(t, s, f)
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
		for _, a := range ended(t, s) {
			if a.Final == nil || *a.Final != someCounters {
				t.Errorf("%d (%s): final counts %+v, want %+v", failAt, what, a.Final, someCounters)
			}
		}
	}
}

func TestSharedNamespace(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"pod", "app"}})
	f.put(a)
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "none"))
	must(t, r.Container(t.Context(), "pod"))
	must(t, r.Container(t.Context(), "pod"))
	if now := live(t, s, a.Key()); now == nil || !slices.Equal(now.Containers, []string{"app"}) || now.Leaving {
		t.Errorf("after the first has left: %+v, want it with \"app\" alone", now)
	}
	if len(f.log) != 0 {
		t.Errorf("the kernel was asked to %v", f.log)
	}
	must(t, r.Container(t.Context(), "app"))
	must(t, r.drainToEnd(t.Context()))
	checkNothingHeld(t, s)
}

func TestWhoseLinkItIs(t *testing.T) {
	t.Parallel()
	a := &state.Attachment{
		Cookie: 5, Interface: "net1", Driver: specs.Macvlan, Phase: specs.PhaseAttached,
		MAC: specs.MAC{2, 0, 0, 0, 0, 1}, ParentIndex: 4,
	}
	attaching, ipvlan, vlanToBe := *a, *a, *a
	attaching.Phase, attaching.Driver = specs.PhaseAttaching, specs.IPvlan
	ipvlan.Driver = specs.IPvlan
	vlanToBe.Phase, vlanToBe.ParentIndex, vlanToBe.VLAN = specs.PhaseAttaching, 0, 100
	other := specs.MAC{2, 0, 0, 0, 0, 2}
	for _, test := range []struct {
		name string
		a    *state.Attachment
		link network.LinkInfo
		ours bool
	}{
		{"as it was made", a, network.LinkInfo{Alias: a.Alias(), MAC: a.MAC, ParentIndex: 4}, true},
		{"MAC changed in the container", a, network.LinkInfo{Alias: a.Alias(), MAC: other, ParentIndex: 4}, true},
		{"alias removed in the container, or not set yet", a, network.LinkInfo{MAC: a.MAC, ParentIndex: 4}, true},
		{"ipvlan, alias not set yet", &attaching, network.LinkInfo{MAC: a.MAC, ParentIndex: 4}, true},
		{"VLAN made, its index not recorded yet", &vlanToBe, network.LinkInfo{MAC: a.MAC, ParentIndex: 12}, true},
		{"ipvlan of somebody else", &ipvlan, network.LinkInfo{MAC: a.MAC, ParentIndex: 4}, false},
		{"another namespace's of berth", a, network.LinkInfo{Alias: "berth:0000000000000006/net1", MAC: a.MAC, ParentIndex: 4}, false},
		{"somebody else's", a, network.LinkInfo{MAC: other, ParentIndex: 4}, false},
		{"a veth with our alias", a, network.LinkInfo{Alias: a.Alias(), MAC: other, ParentIndex: 77}, false},
		{"somebody else's with our MAC", a, network.LinkInfo{MAC: a.MAC, ParentIndex: 77}, false},
	} {
		if got := isOurs(test.a, &test.link); got != test.ours {
			t.Errorf("%s: ours %v, want %v", test.name, got, test.ours)
		}
	}
}

// TestReusedNamespaceID leaves a link that is another namespace's.
func TestReusedNamespaceID(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	a := record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	f.put(a)
	link := f.namespaces[3]["net1"]
	link.Alias = "berth:0000000000000006/net1"
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

func TestVLANStays(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(s *state.Store, f *fake){
		"another attachment uses it": func(s *state.Store, f *fake) {
			f.put(record(t, s, &state.Attachment{
				Cookie: 6, NSID: 4, LinkIndex: 2, Containers: []string{"d"}, Parent: "eth1.100", ParentIndex: 9, TrunkIndex: 7, VLAN: 100,
			}))
		},
		"something that is not berth's is on it": func(_ *state.Store, f *fake) { f.occupants[9] = []network.Occupant{{Name: "mv0"}} },
		"it is in a bridge":                      func(_ *state.Store, f *fake) { f.parents["eth1.100"].Upper = 12 },
		"its name is another's":                  func(_ *state.Store, f *fake) { f.parents["eth1.100"].VLAN = 101 },
		"the administrator made it": func(s *state.Store, f *fake) {
			must(t, s.Update(t.Context(), func(tx *state.Tx) error {
				for _, ifname := range []string{"net1", "net2"} {
					if _, _, err := tx.RemoveVLANUser(7, 100, state.Key(5, ifname)); err != nil {
						return err
					}
				}
				return tx.AddVLANUser(7, 100, state.Key(5, "net1"), false)
			}))
		},
	} {
		s, f := newStore(t), newFake()
		pair(t, s, f)
		change(s, f)
		must(t, f.releaser(s).Container(t.Context(), "c"))
		if len(f.parents) != 1 || slices.Contains(f.log, "delete VLAN") {
			t.Errorf("%s: it was deleted", name)
		}
		if live(t, s, state.Key(5, "net1")) != nil {
			t.Errorf("%s: the attachment was not released", name)
		}
	}
}

// TestAttaching collects an attachment that was being made when its maker
// died, and leaves one whose maker lives.
func TestAttaching(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	dead := record(t, s, &state.Attachment{Cookie: 5, NSID: -1, Phase: specs.PhaseAttaching, ParentIndex: 4, Containers: []string{"c"}})
	living := record(t, s, &state.Attachment{Cookie: 6, NSID: 4, Phase: specs.PhaseAttaching, ParentIndex: 4, Containers: []string{"d"}})
	letGo, err := s.Hold(t.Context(), living.Key())
	must(t, err)
	r := f.releaser(s)
	done, err := r.Collect(t.Context(), 0)
	must(t, err)
	if !slices.Equal(done.Released, []string{dead.Key()}) {
		t.Errorf("released %v, want the dead maker's", done.Released)
	}
	if live(t, s, living.Key()) == nil {
		t.Error("the attachment of a living maker was released")
	}
	letGo()
	_, err = r.Collect(t.Context(), 0)
	must(t, err)
	checkNothingHeld(t, s)
	if all := ended(t, s); len(all) != 0 {
		t.Errorf("%d records are kept of what was never attached", len(all))
	}
}

// TestNotYetEnded finds that a release that was overtaken by a new attachment
// of the same key leaves the new one alone.
func TestNotYetEnded(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	first := record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	must(t, s.Update(t.Context(), func(tx *state.Tx) error {
		return errors.Join(end(tx, first, time.Now()), end(tx, first, time.Now()))
	}))
	second := record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 5, ParentIndex: 4, Containers: []string{"d"}})
	must(t, s.Update(t.Context(), func(tx *state.Tx) error { return end(tx, first, time.Now()) }))
	if now := live(t, s, second.Key()); now == nil || now.LinkIndex != 5 {
		t.Errorf("the new attachment: %+v, want it untouched", now)
	}
	if second.Slot == first.Slot {
		t.Errorf("slot %d was given again before it was drained", first.Slot)
	}
}

func TestDrainWithoutAnAgent(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	r := &Releaser{Store: s, Host: f, BPFFS: t.TempDir()}
	must(t, r.Container(t.Context(), "c"))
	must(t, r.Drain(t.Context()))
	checkNothingHeld(t, s)
	if all := ended(t, s); len(all) != 1 || all[0].Final != nil {
		t.Errorf("ended: %+v, want one without counts", all)
	}
}

// TestDrainWaits finds that Drain neither waits nor is early.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	f.put(record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}}))
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	must(t, r.Drain(t.Context()))
	unkeyed := ended(t, s)[0].Unkeyed
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

// TestDrainComesToRest finds that a Drain with nothing to do
// writes nothing, so that whoever drains at each change comes to rest.
func TestDrainComesToRest(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	f.put(record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}}))
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
		record(t, s, &state.Attachment{Cookie: i + 1, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	}
	slow := time.NewTicker(time.Millisecond)
	defer slow.Stop()
	f.before = func(string) { <-slow.C }
	r := f.releaser(s)
	began := time.Now()
	done, err := r.Collect(t.Context(), 10*time.Millisecond)
	must(t, err)
	if took := time.Since(began); took > time.Second || !done.Partial || len(done.Released) == 40 {
		t.Errorf("took %s for a bound of 10ms: %+v", took, done)
	}
	f.before = nil
	_, err = r.Collect(t.Context(), 0)
	must(t, err)
	checkNothingHeld(t, s)
}

func TestPrune(t *testing.T) {
	t.Parallel()
	s, f := newStore(t), newFake()
	record(t, s, &state.Attachment{Cookie: 5, NSID: 3, LinkIndex: 2, ParentIndex: 4, Containers: []string{"c"}})
	r := f.releaser(s)
	must(t, r.Container(t.Context(), "c"))
	must(t, r.drainToEnd(t.Context()))
	if n := len(ended(t, s)); n != 1 {
		t.Fatalf("%d ended records, want 1", n)
	}
	r.KeepEnded = time.Nanosecond
	done, err := r.Collect(t.Context(), 0)
	must(t, err)
	if n := len(ended(t, s)); n != 0 || done.Pruned != 1 {
		t.Errorf("%d ended records, %+v; want it pruned", n, done)
	}
}

func TestEndpoint(t *testing.T) {
	t.Parallel()
	a := &state.Attachment{
		Cookie: 5, Slot: 2, ParentIndex: 9, TrunkIndex: 7, VLAN: 100, MAC: specs.MAC{2}, Driver: specs.Macvlan, Mode: specs.ModeVEPA,
		Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.5/24")}, SourceMACs: []specs.MAC{{2, 9}},
	}
	e := Endpoint(a)
	if e.OfVLAN != (bpf.VLAN{TrunkIndex: 7, ID: 100}) || !slices.Equal(e.Sources, a.SourceMACs) {
		t.Errorf("endpoint %+v: want its VLAN left to it, and its list", e)
	}
	if e.Slot != 2 || e.ParentIndex != 9 || e.VLAN != 0 || e.MAC != a.MAC || e.Cookie != 5 || e.Mode != specs.ModeVEPA ||
		!slices.Equal(e.Addresses, []netip.Addr{netip.MustParseAddr("192.0.2.5")}) {
		t.Errorf("endpoint %+v: want the sub-interface counted, where its frames have no tag", e)
	}
}
