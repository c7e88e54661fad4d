package state

import "iter"

// Stored yields all attachments in their stored form, first the live ones, then
// the observed and the ended ones, each under a unique key. A reader that caches them needs to
// [Decode] only new ones. Keys and values are valid only inside the transaction.
func (tx *Tx) Stored() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, stored []byte) bool) {
		for _, bucket := range []string{bucketLive, bucketObserved, bucketEnded} {
			for k, v := range seekFrom(tx.Bucket(bucket), nil) {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// Decode parses a pair that Stored yields. The error wraps ErrDamaged.
func Decode(key, stored []byte) (*Attachment, error) { return decodeAttachment(string(key), stored) }
