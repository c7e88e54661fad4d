package state

import (
	"iter"

	"go.etcd.io/bbolt"
)

// These functions treat a nil bucket as empty. A View has one if nothing was
// written yet.

func get(b *bbolt.Bucket, key string) []byte {
	if b == nil {
		return nil
	}
	return b.Get([]byte(key))
}

func has(b *bbolt.Bucket, key string) bool { return get(b, key) != nil }

// mark adds a key to a bucket that is an index, or deletes it.
func mark(b *bbolt.Bucket, key string, in bool) error {
	if in {
		return b.Put([]byte(key), []byte{})
	}
	return b.Delete([]byte(key))
}

// seek iterates over a bucket from a key on. The bucket must not change
// meanwhile.
func seek(b *bbolt.Bucket, from []byte) iter.Seq2[[]byte, []byte] {
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
