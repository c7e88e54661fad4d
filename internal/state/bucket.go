package state

import (
	"iter"

	"go.etcd.io/bbolt"
)

// These functions treat a nil bucket as empty. A View has one if nothing was
// written yet.

// getOrNil returns the value of a key, or nil if it is not in the bucket. The bytes belong to
// bbolt: the caller does not change them, nor keeps them after the transaction or a change of
// the bucket.
func getOrNil(b *bbolt.Bucket, key string) []byte {
	if b == nil {
		return nil
	}
	return b.Get([]byte(key))
}

func hasKey(b *bbolt.Bucket, key string) bool { return getOrNil(b, key) != nil }

// setIndexed adds a key to a bucket that is an index, or deletes it.
func setIndexed(b *bbolt.Bucket, key string, in bool) error {
	if in {
		return b.Put([]byte(key), []byte{})
	}
	return b.Delete([]byte(key))
}

// seekFrom iterates over a bucket from a key on. The bucket must not change
// meanwhile.
func seekFrom(b *bbolt.Bucket, from []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(k, v []byte) bool) {
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, v := c.Seek(from); k != nil; k, v = c.Next() {
			if !yield(k, v) {
				return
			}
		}
	}
}
