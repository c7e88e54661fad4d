package state

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"go.etcd.io/bbolt"

	"berth/specs"
)

// Buckets of attachments. Those of live ones are keyed by Attachment.Key, those of
// ended ones by endedKey, so that they are ordered by time.
const (
	bucketLive      = "attachments"
	bucketUnsettled = "unsettled"  // live ones that still need work
	bucketContainer = "containers" // container id, NUL, key
	bucketDomain    = "domains"    // layer-2 domain, slash, key
	bucketEnded     = "ended"
	bucketDraining  = "draining" // ended ones with a slot
)

// Tx is a transaction. It is valid only inside the function that received it, and for
// one goroutine.
type Tx struct {
	bolt  *bbolt.Tx
	quiet bool
	dir   *directory // of a View; nil in an Update, and without a database
}

// Version identifies the content of the database: two Views with the same version read the same.
type Version struct {
	file fileID
	tx   int // number of the last transaction
}

// Version returns the version that a View reads, or the zero Version if there is no database.
func (tx *Tx) Version() Version {
	if tx.dir == nil {
		return Version{}
	}
	return Version{file: tx.dir.idOf(nameDB), tx: tx.bolt.ID()}
}

// Quiet suppresses the notification of watchers: the caller is about to change the
// same records again, and that transaction would have to wait for the woken
// processes.
func (tx *Tx) Quiet() { tx.quiet = true }

// Bucket returns a top-level bucket. In an Update it is made if needed; in a View a
// missing one is nil, which [NewRuns] and the helpers of this package treat as empty.
func (tx *Tx) Bucket(name string) *bbolt.Bucket {
	if tx.bolt == nil {
		return nil
	}
	b := tx.bolt.Bucket([]byte(name))
	if b == nil && tx.bolt.Writable() {
		b, _ = tx.bolt.CreateBucket([]byte(name)) // fails only if the name is empty or exists
	}
	return b
}

// Attachment returns a live attachment, or the live record of an observed interface, or
// ErrNotFound.
func (tx *Tx) Attachment(key string) (*Attachment, error) {
	data := getOrNil(tx.Bucket(bucketOf(key)), key)
	if data == nil {
		return nil, fmt.Errorf("attachment %q: %w", key, ErrNotFound)
	}
	return decodeAttachment(key, data)
}

// Put writes an attachment. A live one replaces the live one with its key. An ended
// one is added to the ended ones, and the live record of the same attachment (not of
// a later one with the same key) is deleted.
func (tx *Tx) Put(a *Attachment) error {
	data, err := encodeAttachment(a)
	if err != nil {
		return fmt.Errorf("attachment %q: %w", a.Key(), err)
	}
	if a.Phase == specs.PhaseEnded {
		return tx.putEnded(a, data)
	}
	key := a.Key()
	if a.Observed {
		return tx.putObserved(key, data)
	}
	if err := tx.Delete(key); err != nil {
		return err
	}
	if err := tx.Bucket(bucketLive).Put([]byte(key), data); err != nil {
		return fmt.Errorf("attachment %q: %w", key, err)
	}
	for _, id := range a.Containers {
		if err := setIndexed(tx.Bucket(bucketContainer), id+"\x00"+key, true); err != nil {
			return fmt.Errorf("attachment %q: container %q: %w", key, id, err)
		}
	}
	if err := setIndexed(tx.Bucket(bucketDomain), a.Domain()+"/"+key, true); err != nil {
		return fmt.Errorf("attachment %q: parent: %w", key, err)
	}
	if err := errors.Join(tx.markDHCP(key, len(a.DHCP) > 0), tx.markEnforcing(a, true)); err != nil {
		return err
	}
	return setIndexed(tx.Bucket(bucketUnsettled), key, !a.settled())
}

// Delete removes a live attachment if it exists.
func (tx *Tx) Delete(key string) error {
	if bucketOf(key) == bucketObserved {
		return tx.Bucket(bucketObserved).Delete([]byte(key))
	}
	live := tx.Bucket(bucketLive)
	data := getOrNil(live, key)
	if data == nil {
		return nil
	}
	old, err := decodeAttachment(key, data)
	if err != nil {
		return err
	}
	for _, id := range old.Containers {
		if err := setIndexed(tx.Bucket(bucketContainer), id+"\x00"+key, false); err != nil {
			return err
		}
	}
	if err := setIndexed(tx.Bucket(bucketUnsettled), key, false); err != nil {
		return err
	}
	if err := errors.Join(tx.markDHCP(key, false), tx.markEnforcing(old, false)); err != nil {
		return err
	}
	if err := setIndexed(tx.Bucket(bucketDomain), old.Domain()+"/"+key, false); err != nil {
		return err
	}
	return live.Delete([]byte(key))
}

// Attachments returns all attachments, first the live ones, then the observed and the ended
// ones. An error concerns one record; the others follow.
func (tx *Tx) Attachments() iter.Seq2[*Attachment, error] {
	return func(yield func(*Attachment, error) bool) {
		for a, err := range tx.Live("") {
			if !yield(a, err) {
				return
			}
		}
		for a, err := range tx.Observed() {
			if !yield(a, err) {
				return
			}
		}
		for a, err := range tx.Ended() {
			if !yield(a, err) {
				return
			}
		}
	}
}

// Live returns the live attachments whose key is after the given one, in the
// order of keys.
func (tx *Tx) Live(after string) iter.Seq2[*Attachment, error] {
	return func(yield func(*Attachment, error) bool) {
		for k, v := range seekFrom(tx.Bucket(bucketLive), []byte(after)) {
			if string(k) == after {
				continue
			}
			if !yield(decodeAttachment(string(k), v)) {
				return
			}
		}
	}
}

// Cookies returns the lowest and the highest cookie of the live attachments'
// namespaces, or 0 and 0 if there are none.
func (tx *Tx) Cookies() (first, last uint64) {
	b := tx.Bucket(bucketLive)
	if b == nil {
		return 0, 0
	}
	low, _ := b.Cursor().First()
	high, _ := b.Cursor().Last()
	return cookieOf(low), cookieOf(high)
}

func cookieOf(key []byte) uint64 {
	cookie, _, _ := bytes.Cut(key, []byte("/"))
	n, _ := strconv.ParseUint(string(cookie), 16, 64)
	return n
}

// InNamespace returns the live attachments of a namespace.
func (tx *Tx) InNamespace(cookie uint64) ([]*Attachment, error) {
	prefix := Key(cookie, "")
	var all []*Attachment
	for k, v := range seekFrom(tx.Bucket(bucketLive), []byte(prefix)) {
		if !bytes.HasPrefix(k, []byte(prefix)) {
			break
		}
		a, err := decodeAttachment(string(k), v)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// OfContainer returns the live attachments of a container, in the order of their
// keys.
func (tx *Tx) OfContainer(id string) ([]*Attachment, error) {
	prefix := []byte(id + "\x00")
	var keys []string
	for k := range seekFrom(tx.Bucket(bucketContainer), prefix) {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		keys = append(keys, string(k[len(prefix):]))
	}
	return tx.byKeys(keys)
}

// Domains returns one live attachment of each layer-2 domain that has any. It skips
// the others, so its time grows with the number of domains only.
func (tx *Tx) Domains() (one []*Attachment, err error) {
	b := tx.Bucket(bucketDomain)
	if b == nil {
		return nil, nil
	}
	c := b.Cursor()
	for k, _ := c.First(); k != nil; {
		domain, key, _ := strings.Cut(string(k), "/")
		a, err := tx.Attachment(key)
		if err != nil {
			return nil, err
		}
		one = append(one, a)
		k, _ = c.Seek([]byte(domain + "0")) // the character after the slash
	}
	return one, nil
}

// InDomain returns the live attachments of a layer-2 domain.
func (tx *Tx) InDomain(domain string) ([]*Attachment, error) {
	prefix := []byte(domain + "/")
	var keys []string
	for k := range seekFrom(tx.Bucket(bucketDomain), prefix) {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		keys = append(keys, string(k[len(prefix):]))
	}
	return tx.byKeys(keys)
}

// OneInDomain returns one live attachment of a layer-2 domain, or nil if there is none.
// One is enough to know the use of a parent, because all of its users have one
// driver, and a passthru one is alone.
func (tx *Tx) OneInDomain(domain string) (*Attachment, error) {
	prefix := []byte(domain + "/")
	for k := range seekFrom(tx.Bucket(bucketDomain), prefix) {
		if !bytes.HasPrefix(k, prefix) {
			break
		}
		return tx.Attachment(string(k[len(prefix):]))
	}
	return nil, nil
}

// Unsettled returns the live attachments that are being made or released, or were
// when their process was killed.
func (tx *Tx) Unsettled() ([]*Attachment, error) {
	var keys []string
	for k := range seekFrom(tx.Bucket(bucketUnsettled), nil) {
		keys = append(keys, string(k))
	}
	return tx.byKeys(keys)
}

func (tx *Tx) byKeys(keys []string) ([]*Attachment, error) {
	slices.Sort(keys)
	var all []*Attachment
	for _, key := range keys {
		a, err := tx.Attachment(key)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}
