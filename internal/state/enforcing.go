package state

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"berth/specs"
)

// bucketEnforcing is the index of the live attachments in mode bridge whose network enforces a kind:
// layer-2 domain, slash, key.
const bucketEnforcing = "enforcing"

func (a *Attachment) enforcesInBridge() bool {
	return a.Driver == specs.Macvlan && a.Mode == specs.ModeBridge && len(a.Enforce) > 0
}

// keyEnforcing is in the bucket of the layout if the database has that index; a database without an
// enforcing attachment has no bucket for it. One of an earlier version lacks the key.
var keyEnforcing = []byte("enforcing")

// markEnforcing keeps the index of enforcing attachments, and makes it in a database of an earlier
// version; a record that cannot be read gets no entry there.
func (tx *Tx) markEnforcing(a *Attachment, in bool) error {
	if meta := tx.bolt.Bucket(bucketMeta); meta != nil && meta.Get(keyEnforcing) == nil {
		if err := tx.indexEnforcing(meta); err != nil {
			return err
		}
	}
	if !a.enforcesInBridge() {
		return nil
	}
	return setIndexed(tx.Bucket(bucketEnforcing), a.Domain()+"/"+a.Key(), in)
}

func (tx *Tx) indexEnforcing(meta *bbolt.Bucket) error {
	for a, err := range tx.Live("") {
		if err != nil || !a.enforcesInBridge() {
			continue
		}
		if err := setIndexed(tx.Bucket(bucketEnforcing), a.Domain()+"/"+a.Key(), true); err != nil {
			return err
		}
	}
	return meta.Put(keyEnforcing, []byte{1})
}

// MendEnforcing corrects the index of enforcing attachments, and returns the number of entries that
// were missing or too many: an earlier version of berth, to which this host may have returned for a
// while, does not keep it. A record that cannot be read has no entry.
func (s *Store) MendEnforcing(ctx context.Context) (n int, err error) {
	var wrong map[string]bool
	read := func(tx *Tx) error { wrong = tx.wrongEnforcing(); return nil }
	if err := s.View(ctx, read); err != nil || len(wrong) == 0 {
		return 0, err
	}
	err = s.Update(ctx, func(tx *Tx) error {
		wrong = tx.wrongEnforcing()
		for key, in := range wrong {
			if err := setIndexed(tx.Bucket(bucketEnforcing), key, in); err != nil {
				return err
			}
		}
		return nil
	})
	return len(wrong), err
}

// wrongEnforcing returns the wrong entries of the index of enforcing attachments, and whether each has
// to be in it. A database without that index has none.
func (tx *Tx) wrongEnforcing() map[string]bool {
	if tx.bolt == nil {
		return nil
	}
	if meta := tx.bolt.Bucket(bucketMeta); meta == nil || meta.Get(keyEnforcing) == nil {
		return nil
	}
	wrong := make(map[string]bool)
	for k := range seekFrom(tx.bolt.Bucket([]byte(bucketEnforcing)), nil) {
		wrong[string(k)] = false
	}
	for a, err := range tx.Live("") {
		if err != nil || !a.enforcesInBridge() {
			continue
		}
		key := a.Domain() + "/" + a.Key()
		if _, is := wrong[key]; is {
			delete(wrong, key)
		} else {
			wrong[key] = true
		}
	}
	return wrong
}

// IsEnforced reports whether a live attachment in mode bridge of a layer-2 domain enforces a kind. It is
// true for a database of an earlier version to which this one has not written.
func (tx *Tx) IsEnforced(domain string) bool {
	if tx.bolt == nil {
		return false
	}
	b := tx.bolt.Bucket([]byte(bucketEnforcing))
	if b == nil {
		meta := tx.bolt.Bucket(bucketMeta)
		return meta == nil || meta.Get(keyEnforcing) == nil
	}
	prefix := []byte(domain + "/")
	for k := range seekFrom(b, prefix) {
		return bytes.HasPrefix(k, prefix)
	}
	return false
}
