package state

import (
	"bytes"

	"berth/specs"
)

// bucketEnforcing is the index of the live attachments in mode bridge whose network enforces a kind:
// layer-2 domain, slash, key.
const bucketEnforcing = "enforcing"

func (a *Attachment) enforcesInBridge() bool {
	return a.Driver == specs.Macvlan && a.Mode == specs.ModeBridge && len(a.Enforce) > 0
}

// markEnforcing keeps the index of enforcing attachments. It makes the index of a database of an
// earlier version, which has none; of a record that cannot be read it has no entry.
func (tx *Tx) markEnforcing(a *Attachment, in bool) error {
	if tx.bolt.Bucket([]byte(bucketEnforcing)) == nil {
		for other, err := range tx.Live("") {
			if err != nil || !other.enforcesInBridge() {
				continue
			}
			if err := setIndexed(tx.Bucket(bucketEnforcing), other.Domain()+"/"+other.Key(), true); err != nil {
				return err
			}
		}
	}
	if !a.enforcesInBridge() {
		tx.Bucket(bucketEnforcing)
		return nil
	}
	return setIndexed(tx.Bucket(bucketEnforcing), a.Domain()+"/"+a.Key(), in)
}

// IsEnforced reports whether a live attachment in mode bridge of a layer-2 domain enforces a kind. It is
// true for a database of an earlier version to which this one has not written.
func (tx *Tx) IsEnforced(domain string) bool {
	if tx.bolt == nil {
		return false
	}
	b := tx.bolt.Bucket([]byte(bucketEnforcing))
	if b == nil {
		return tx.bolt.Bucket([]byte(bucketLive)) != nil
	}
	prefix := []byte(domain + "/")
	for k := range seekFrom(b, prefix) {
		return bytes.HasPrefix(k, prefix)
	}
	return false
}
