package state

import (
	"errors"
	"slices"
	"testing"
	"time"

	"berth/specs"
)

// TestObservedRecordsAreApart stores a live record of an observed interface: no list of
// attachments has it, and its end is stored as that of an attachment.
func TestObservedRecordsAreApart(t *testing.T) {
	s := Open(t.TempDir() + "/state")
	at := &Attachment{Observed: true, NSID: 5, LinkIndex: 2, Containers: []string{"pid:7"}, Parent: "eth1", ParentIndex: 4,
		Interface: "eth0", Slot: 3, Phase: specs.PhaseAttached, Created: time.Unix(100, 0)}
	update := func(do func(*Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *Tx) error { return tx.Put(at) })
	update(func(tx *Tx) error {
		for a, err := range tx.Live("") {
			t.Errorf("live attachment %+v, %v", a, err)
		}
		if of, err := tx.OfContainer("pid:7"); len(of) != 0 || err != nil {
			t.Errorf("of the container: %+v, %v", of, err)
		}
		if on, err := tx.OneInDomain(at.Domain()); on != nil || err != nil {
			t.Errorf("on the parent: %+v, %v", on, err)
		}
		if got, err := tx.Current(&Attachment{Observed: true, NSID: 5, LinkIndex: 2, Created: at.Created}); err != nil || got.Interface != "eth0" {
			t.Errorf("now: %+v, %v", got, err)
		}
		at.Interface = "lan0"
		return tx.Put(at)
	})
	stored := func(tx *Tx) (keys []string) {
		for k := range tx.Stored() {
			keys = append(keys, string(k))
		}
		return keys
	}
	update(func(tx *Tx) error {
		if keys := stored(tx); !slices.Equal(keys, []string{"observed/5/2"}) {
			t.Errorf("stored %q", keys)
		}
		at.Phase, at.Ended = specs.PhaseEnded, time.Unix(200, 0)
		return tx.Put(at)
	})
	update(func(tx *Tx) error {
		if _, err := tx.Attachment("observed/5/2"); !errors.Is(err, ErrNotFound) {
			t.Errorf("after its end: %v", err)
		}
		if all, err := tx.Draining(); len(all) != 1 || err != nil || !all[0].Observed {
			t.Errorf("draining %+v, %v", all, err)
		}
		return nil
	})
}
