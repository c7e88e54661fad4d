package state

import (
	"errors"
	"testing"
	"time"

	"berth/specs"
)

// TestIsEnforced follows an attachment that enforces from its record to its end, over a change of its
// parent's index, and in a database of a version without the index.
func TestIsEnforced(t *testing.T) {
	t.Parallel()
	s := Open(t.TempDir() + "/state")
	at := &Attachment{Cookie: 1, Driver: specs.Macvlan, Mode: specs.ModeBridge, Enforce: []specs.Kind{specs.IPSpoof},
		ParentIndex: 4, Interface: "net1", Containers: []string{"a"}, Phase: specs.PhaseAttached, Created: time.Unix(100, 0)}
	other := &Attachment{Cookie: 2, Driver: specs.Macvlan, Mode: specs.ModeBridge, ParentIndex: 4, Interface: "net1",
		Phase: specs.PhaseAttached, Created: time.Unix(100, 0)}
	want := func(what, domain string, want bool) {
		t.Helper()
		if err := s.View(t.Context(), func(tx *Tx) error {
			if got := tx.IsEnforced(domain); got != want {
				t.Errorf("%s: domain %s is enforced: %t, want %t", what, domain, got, want)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	update := func(do func(*Tx) error) {
		t.Helper()
		if err := s.Update(t.Context(), do); err != nil {
			t.Fatal(err)
		}
	}
	want("no database", "4.0", false)
	update(func(tx *Tx) error { return tx.Put(other) })
	want("nothing enforces", "4.0", false)
	update(func(tx *Tx) error { return tx.Put(at) })
	want("one enforces", "4.0", true)
	want("one enforces", "40.0", false)
	at.ParentIndex = 40
	update(func(tx *Tx) error { return tx.Put(at) })
	want("moved", "4.0", false)
	want("moved", "40.0", true)

	update(func(tx *Tx) error { // as in a database of an earlier version
		return errors.Join(tx.bolt.DeleteBucket([]byte(bucketEnforcing)), tx.bolt.Bucket(bucketMeta).Delete(keyEnforcing))
	})
	want("not known", "4.0", true)
	update(func(tx *Tx) error { return tx.Put(other) })
	want("the index is made", "4.0", false)
	want("the index is made", "40.0", true)
	at.Phase, at.Ended = specs.PhaseEnded, time.Unix(200, 0)
	update(func(tx *Tx) error { return tx.Put(at) })
	want("ended", "40.0", false)
}
