package state

import (
	"bytes"

	"go.etcd.io/bbolt"
)

// Runs is a set of numbers, stored as runs of consecutive ones: key first, value
// last, both big-endian and of one length. So the lowest number outside the set
// is found without visiting its members: every operation takes a few look-ups,
// whatever the size of the set.
type Runs struct{ bucket *bbolt.Bucket }

// NewRuns returns the set stored in a bucket. A nil bucket is an empty set that
// cannot be changed.
func NewRuns(b *bbolt.Bucket) Runs { return Runs{b} }

// findRun returns the run that contains x, or nil.
func (r Runs) findRun(x []byte) (first, last []byte) {
	if r.bucket == nil {
		return nil, nil
	}
	c := r.bucket.Cursor()
	first, last = c.Seek(x)
	switch {
	case first == nil:
		first, last = c.Last()
	case !bytes.Equal(first, x):
		first, last = c.Prev()
	}
	if first == nil || bytes.Compare(x, last) > 0 {
		return nil, nil
	}
	return first, last
}

// Has reports whether x is in the set.
func (r Runs) Has(x []byte) bool {
	first, _ := r.findRun(x)
	return first != nil
}

// Free returns the lowest number from from on that is not in the set, or nil if
// there is none.
func (r Runs) Free(from []byte) []byte {
	if _, last := r.findRun(from); last != nil {
		return stepNumber(last, +1)
	}
	return from
}

// Add adds x to the set.
func (r Runs) Add(x []byte) error {
	if r.Has(x) {
		return nil
	}
	first, last := x, x
	if next := stepNumber(x, +1); next != nil {
		if v := r.bucket.Get(next); v != nil {
			last = bytes.Clone(v)
			if err := r.bucket.Delete(next); err != nil {
				return err
			}
		}
	}
	if before := stepNumber(x, -1); before != nil {
		if f, _ := r.findRun(before); f != nil {
			first = bytes.Clone(f)
		}
	}
	return r.bucket.Put(first, bytes.Clone(last))
}

// Remove removes x from the set.
func (r Runs) Remove(x []byte) error {
	f, l := r.findRun(x)
	if f == nil {
		return nil
	}
	first, last := bytes.Clone(f), bytes.Clone(l)
	if bytes.Equal(first, x) {
		if err := r.bucket.Delete(first); err != nil {
			return err
		}
	} else if err := r.bucket.Put(first, stepNumber(x, -1)); err != nil {
		return err
	}
	if bytes.Equal(last, x) {
		return nil
	}
	return r.bucket.Put(stepNumber(x, +1), last)
}

// stepNumber returns the number after (+1) or before (-1) x, or nil if there is none.
func stepNumber(x []byte, by int8) []byte {
	y := bytes.Clone(x)
	for i := len(y) - 1; i >= 0; i-- {
		y[i] += byte(by)
		if by > 0 && y[i] != 0 || by < 0 && y[i] != 0xff {
			return y
		}
	}
	return nil
}
