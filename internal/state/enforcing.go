package state

import (
	"bytes"

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
