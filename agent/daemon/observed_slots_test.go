package daemon

import (
	"errors"
	"log/slog"
	"testing"

	"berth/bpf"
	"berth/internal/state"
	"berth/specs"
)

// TestUncountedInterfaceIsCountedLater has no slot for the third of three interfaces, until the
// slot of another one is free.
func TestUncountedInterfaceIsCountedLater(t *testing.T) {
	ctx := t.Context()
	a := &Agent{store: state.Open(t.TempDir() + "/state"), config: specs.Agent{MaxEndpoints: 3}} // one is left to attachments
	o := &observer{a: a, known: make(map[string]*state.Attachment), held: make(map[int]*state.Attachment)}
	one, two, three := seen(2, "one", macA), seen(3, "two", macB), seen(4, "three", macB)
	for _, is := range planOf(nil, one, two, three).created {
		mustSucceed(t, o.createRecords(ctx, nil, []*state.Attachment{is}))
	}
	want := func(index int, slot uint32) {
		t.Helper()
		key := (&state.Attachment{Observed: true, NSID: 5, LinkIndex: index}).Key()
		mustSucceed(t, a.store.View(ctx, func(tx *state.Tx) error {
			at, err := tx.Attachment(key)
			if err == nil && (at.Slot != slot || o.known[key].Slot != slot) {
				t.Errorf("%s has slot %d, %d in memory; want %d", at.Interface, at.Slot, o.known[key].Slot, slot)
			}
			return err
		}))
	}
	claim := func() {
		t.Helper()
		mustSucceed(t, o.claimSlots(ctx, nil, []*state.Attachment{o.known["observed/5/4"]}))
	}
	want(2, 1)
	want(3, 2)
	want(4, 0)
	claim()
	want(4, 0)
	mustSucceed(t, a.store.Update(ctx, func(tx *state.Tx) error { return tx.FreeSlot(1) }))
	claim()
	want(4, 1)
}

// TestCookieOfAnObservedInterface cannot find the namespace at first, as no maps are pinned and then
// as the search fails; it finds it in a later round, and keeps it when a search fails again.
func TestCookieOfAnObservedInterface(t *testing.T) {
	ctx := t.Context()
	a := &Agent{store: state.Open(t.TempDir() + "/state"), log: slog.New(slog.DiscardHandler)}
	found, failure := uint64(0), error(nil)
	o := &observer{a: a, known: make(map[string]*state.Attachment), held: make(map[int]*state.Attachment),
		cookieOf: func(*bpf.Maps, int, specs.MAC) (uint64, error) { return found, failure }}
	want := func(cookie uint64) {
		t.Helper()
		mustSucceed(t, a.store.View(ctx, func(tx *state.Tx) error {
			at, err := tx.Attachment("observed/5/2")
			if err == nil && (at.Cookie != cookie || o.known["observed/5/2"].Cookie != cookie) {
				t.Errorf("cookie %d, %d in memory; want %d", at.Cookie, o.known["observed/5/2"].Cookie, cookie)
			}
			return err
		}))
	}
	maps := new(bpf.Maps)
	one := seen(2, "one", macA)
	mustSucceed(t, o.createRecords(ctx, nil, planOf(nil, one).created))
	want(0)
	found, failure = 0, errors.New("no answer")
	mustSucceed(t, o.findMissingCookies(ctx, maps))
	want(0)
	found, failure = 77, nil
	mustSucceed(t, o.findMissingCookies(ctx, nil))
	want(0)
	mustSucceed(t, o.findMissingCookies(ctx, maps))
	want(77)
	for _, failure = range []error{errors.New("no answer"), nil} { // nil: the interface was not found
		found = 0
		one.Link.MTU++
		mustSucceed(t, o.changeRecords(ctx, maps, planOf(o.known, one).changed))
		want(77)
	}
	one.Link.MTU++
	mustSucceed(t, o.changeRecords(ctx, nil, planOf(o.known, one).changed))
	want(77)
}

// TestAChangeThatFailsHoldsUpNoOther changes two interfaces, of which one cannot be registered again.
func TestAChangeThatFailsHoldsUpNoOther(t *testing.T) {
	ctx := t.Context()
	a := &Agent{store: state.Open(t.TempDir() + "/state"), config: specs.Agent{MaxEndpoints: 1}, observed: newObservedAddresses()}
	o := &observer{a: a, known: make(map[string]*state.Attachment), held: make(map[int]*state.Attachment), cookieOf: (*bpf.Maps).CookieOf}
	one, two := seen(2, "one", macA), seen(3, "two", macB)
	for _, is := range planOf(nil, one, two).created {
		mustSucceed(t, o.createRecords(ctx, nil, []*state.Attachment{is}))
	}
	one.Link.MTU, two.Link.MTU = 9000, 9000
	if err := o.changeRecords(ctx, new(bpf.Maps), planOf(o.known, one, two).changed); err == nil {
		t.Error("no error of an interface that cannot be registered")
	}
	for key, mtu := range map[string]int{"observed/5/2": 1500, "observed/5/3": 9000} {
		mustSucceed(t, a.store.View(ctx, func(tx *state.Tx) error {
			at, err := tx.Attachment(key)
			if err == nil && (at.MTU != mtu || o.known[key].MTU != mtu) {
				t.Errorf("%s (slot %d) has MTU %d, %d in memory; want %d", key, at.Slot, at.MTU, o.known[key].MTU, mtu)
			}
			return err
		}))
	}
}
