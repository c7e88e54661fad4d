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

// TestMendEnforcing has an index that an earlier version of berth did not keep: it lacks an attachment
// that enforces, and has one that has ended.
func TestMendEnforcing(t *testing.T) {
	t.Parallel()
	s := Open(t.TempDir() + "/state")
	mended := func(want int) {
		t.Helper()
		if n, err := s.MendEnforcing(t.Context()); n != want || err != nil {
			t.Errorf("mended %d, %v, want %d", n, err, want)
		}
	}
	mended(0)
	put := func(tx *Tx, cookie uint64, parent int, enforce ...specs.Kind) error {
		return tx.Put(&Attachment{Cookie: cookie, Driver: specs.Macvlan, Mode: specs.ModeBridge, Enforce: enforce,
			ParentIndex: parent, Interface: "net1", Containers: []string{"a"}, Phase: specs.PhaseAttached, Created: time.Unix(100, 0)})
	}
	if err := s.Update(t.Context(), func(tx *Tx) error {
		err := errors.Join(put(tx, 1, 4, specs.IPSpoof), put(tx, 2, 40), put(tx, 3, 50, specs.IPSpoof))
		b := tx.Bucket(bucketEnforcing)
		return errors.Join(err, b.Delete([]byte("4.0/0000000000000001/net1")), b.Put([]byte("40.0/0000000000000009/net1"), nil))
	}); err != nil {
		t.Fatal(err)
	}
	mended(2)
	mended(0)
	if err := s.View(t.Context(), func(tx *Tx) error {
		for domain, want := range map[string]bool{"4.0": true, "40.0": false, "50.0": true} {
			if got := tx.IsEnforced(domain); got != want {
				t.Errorf("domain %s is enforced: %t, want %t", domain, got, want)
			}
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
