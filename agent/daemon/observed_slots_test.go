package daemon

import (
	"testing"

	"berth/internal/state"
	"berth/specs"
)

// TestUncountedInterfaceIsCountedLater has no slot for the third of three interfaces, until the
// slot of another one is free.
func TestUncountedInterfaceIsCountedLater(t *testing.T) {
	ctx := t.Context()
	a := &Agent{store: state.Open(t.TempDir() + "/state"), config: specs.Agent{MaxEndpoints: 3}} // one is left to attachments
	o := &observer{a: a, known: make(map[string]*state.Attachment)}
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
