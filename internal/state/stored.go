package state

import "iter"

// Stored yields all attachments as they lie in the database, the live ones and
// then the ended ones, each under a key that no other has. A reader that
// remembers what it has seen needs to [Decode] only what is new. What is
// yielded is valid only inside the transaction.
func (tx *Tx) Stored() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, stored []byte) bool) {
		for _, bucket := range []string{bucketLive, bucketEnded} {
			for k, v := range seek(tx.Bucket(bucket), nil) {
				if !yield(k, v) {
					return
				}
			}
		}
	}
}

// Decode reads what Stored yields. The error wraps ErrDamaged.
func Decode(key, stored []byte) (*Attachment, error) { return decode(string(key), stored) }
