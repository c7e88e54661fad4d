package state

import (
	"iter"

	"go.etcd.io/bbolt"
)

// A nil bucket, as a View has where nothing was written yet, is empty to all
// of these.

func get(b *bbolt.Bucket, key string) []byte {
	if b == nil {
		return nil
	}
	return b.Get([]byte(key))
}

func has(b *bbolt.Bucket, key string) bool { return get(b, key) != nil }

// mark puts a key into a bucket that is an index, or takes it out.
func mark(b *bbolt.Bucket, key string, in bool) error {
	if in {
		return b.Put([]byte(key), []byte{})
	}
	return b.Delete([]byte(key))
}

// seek iterates over a bucket from a key on. The bucket must not be changed
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
