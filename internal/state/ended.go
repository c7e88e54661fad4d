package state

import (
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// endedKey returns a key that sorts by the time of the end.
func (a *Attachment) endedKey() string {
	return fmt.Sprintf("%016x/%s", uint64(a.Ended.UnixNano()), a.Key())
}

// putEnded moves an attachment to the ended ones.
func (tx *Tx) putEnded(a *Attachment, data []byte) error {
	live, err := tx.Attachment(a.Key())
	if err == nil && live.Created.Equal(a.Created) {
		if err := tx.Delete(a.Key()); err != nil {
			return err
		}
	}
	if err := tx.Bucket(bucketEnded).Put([]byte(a.endedKey()), data); err != nil {
		return fmt.Errorf("ended attachment %q: %w", a.Key(), err)
	}
	if err := tx.markEndedOf(a, true); err != nil {
		return err
	}
	return setIndexed(tx.Bucket(bucketDraining), a.endedKey(), a.Draining())
}

// Current returns the current record of an attachment, live or ended, or ErrNotFound. Of the
// seen record it uses the key, the first container, Created and Ended.
func (tx *Tx) Current(seen *Attachment) (*Attachment, error) {
	a, err := tx.Attachment(seen.Key())
	if !seen.Ended.IsZero() {
		a, err = tx.EndedOf(seen)
	}
	if err == nil && a.Created.Equal(seen.Created) || err != nil && !errors.Is(err, ErrNotFound) {
		return a, err
	}
	if len(seen.Containers) > 0 {
		ended, err := tx.endedOf(seen.Containers[0])
		for _, a := range ended {
			if a.Key() == seen.Key() && a.Created.Equal(seen.Created) {
				return a, nil
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("attachment %q: %w", seen.Key(), ErrNotFound)
}

// markEndedOf updates the index of the ended attachments by container.
func (tx *Tx) markEndedOf(a *Attachment, in bool) error {
	if len(a.Containers) == 0 {
		return nil
	}
	return setIndexed(tx.Bucket(bucketEndedOf), a.Containers[0]+"\x00"+a.endedKey(), in)
}

// EndedOf returns the current record of an ended attachment, or ErrNotFound.
func (tx *Tx) EndedOf(a *Attachment) (*Attachment, error) {
	data := getOrNil(tx.Bucket(bucketEnded), a.endedKey())
	if data == nil {
		return nil, fmt.Errorf("ended attachment %q: %w", a.Key(), ErrNotFound)
	}
	return decodeAttachment(a.Key(), data)
}

// DeleteEnded removes an ended attachment that never had a link, if it exists.
// Its violations stay in the sums.
func (tx *Tx) DeleteEnded(a *Attachment) error {
	if err := tx.addPruned(a); err != nil {
		return err
	}
	return tx.removeEnded(a)
}

func (tx *Tx) removeEnded(a *Attachment) error {
	if err := tx.markEndedOf(a, false); err != nil {
		return err
	}
	if err := setIndexed(tx.Bucket(bucketDraining), a.endedKey(), false); err != nil {
		return err
	}
	return tx.Bucket(bucketEnded).Delete([]byte(a.endedKey()))
}

// Ended returns the ended attachments, the last ended first.
func (tx *Tx) Ended() iter.Seq2[*Attachment, error] {
	return func(yield func(*Attachment, error) bool) {
		b := tx.Bucket(bucketEnded)
		if b == nil {
			return
		}
		c := b.Cursor()
		for k, v := c.Last(); k != nil; k, v = c.Prev() {
			if !yield(decodeAttachment(string(k), v)) {
				return
			}
		}
	}
}

// Draining returns the ended attachments that still have a counter slot.
func (tx *Tx) Draining() ([]*Attachment, error) {
	var all []*Attachment
	for k := range seekFrom(tx.Bucket(bucketDraining), nil) {
		a, err := decodeAttachment(string(k), getOrNil(tx.Bucket(bucketEnded), string(k)))
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// OldestDraining returns the end time of the attachment that has kept a counter
// slot for the longest time, or false if none has one.
func (tx *Tx) OldestDraining() (ended time.Time, ok bool) {
	for k := range seekFrom(tx.Bucket(bucketDraining), nil) {
		at, _, _ := strings.Cut(string(k), "/")
		ns, err := strconv.ParseUint(at, 16, 64)
		return time.Unix(0, int64(ns)), err == nil
	}
	return ended, false
}

// Stale reports whether Prune would remove anything.
func (tx *Tx) Stale(before time.Time, keep int) bool { return len(tx.staleEnded(before, keep)) > 0 }

// Prune removes attachments that ended before a time, and the oldest beyond a
// number. Those with a slot stay. Their counts are added to [Attachment.Earlier]
// of the next run of the same container, if there is one, and to
// [Tx.PrunedViolations]. It returns the number of removed attachments.
func (tx *Tx) Prune(before time.Time, keep int) (n int, err error) {
	runs := runsRead{tx: tx, of: make(map[string][]*Attachment)}
	for _, key := range tx.staleEnded(before, keep) {
		went := true
		a, err := decodeAttachment(key, getOrNil(tx.Bucket(bucketEnded), key))
		if err == nil {
			went, err = tx.forgetEnded(a, &runs)
		} else {
			err = tx.Bucket(bucketEnded).Delete([]byte(key))
		}
		if err != nil {
			return 0, fmt.Errorf("ended attachment %q: %w", key, err)
		}
		if went {
			n++
		}
	}
	return n, nil
}

// staleEnded returns the keys of the ended attachments that Prune removes.
func (tx *Tx) staleEnded(before time.Time, keep int) (keys []string) {
	b, draining := tx.Bucket(bucketEnded), tx.Bucket(bucketDraining)
	if b == nil {
		return nil
	}
	oldest, n := fmt.Sprintf("%016x", uint64(before.UnixNano())), 0
	c := b.Cursor()
	for k, _ := c.Last(); k != nil; k, _ = c.Prev() {
		if n++; (n > keep || string(k) < oldest) && !hasKey(draining, string(k)) {
			keys = append(keys, string(k))
		}
	}
	return keys
}
