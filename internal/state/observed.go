package state

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// bucketObserved holds the live records of interfaces that the agent observes. They are in
// no index: only the agent uses them, and an attachment never depends on one.
const bucketObserved = "observed"

// observedPrefix begins the keys of observed interfaces. No cookie has this form.
const observedPrefix = "observed/"

// observedKey identifies a live observed interface: at any time a namespace has one link of an
// index. Its name and its MAC may change.
func observedKey(nsid, index int) string {
	return observedPrefix + strconv.Itoa(nsid) + "/" + strconv.Itoa(index)
}

// bucketOf returns the bucket of the live record with a key.
func bucketOf(key string) string {
	if strings.HasPrefix(key, observedPrefix) {
		return bucketObserved
	}
	return bucketLive
}

// putObserved writes the live record of an observed interface.
func (tx *Tx) putObserved(key string, data []byte) error {
	if err := tx.Bucket(bucketObserved).Put([]byte(key), data); err != nil {
		return fmt.Errorf("observed interface %q: %w", key, err)
	}
	return nil
}

// Observed returns the live records of observed interfaces, in the order of their keys.
func (tx *Tx) Observed() iter.Seq2[*Attachment, error] {
	return func(yield func(*Attachment, error) bool) {
		for k, v := range seekFrom(tx.Bucket(bucketObserved), nil) {
			if !yield(decodeAttachment(string(k), v)) {
				return
			}
		}
	}
}
