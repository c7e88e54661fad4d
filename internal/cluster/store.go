package cluster

import (
	"context"
	"errors"
)

// Store is a linearizable store of keys and values that all nodes share. Keys are relative
// to a prefix that belongs to berth.
//
// An error other than ErrChanged and ErrCompacted leaves the outcome open: a change may
// have happened, and may still happen at any later time.
type Store interface {
	// List returns the entries below the prefixes, all at one revision.
	List(ctx context.Context, prefixes ...string) (Snapshot, error)
	// Swap makes all changes in one transaction and returns its revision. If the revision
	// of a key differs from its change's Was, it changes nothing and returns ErrChanged.
	Swap(ctx context.Context, changes ...Change) (int64, error)
	// Watch calls apply with each later change below a prefix, in order, until ctx ends or
	// an error occurs. It returns ErrCompacted if the store has forgotten changes after
	// the revision; the caller then lists again.
	Watch(ctx context.Context, prefix string, after int64, apply func(Update)) error
	// Present keeps a key until ctx ends; a while later the store deletes it by itself.
	// The key is for people and metrics; no owner is decided by it.
	Present(ctx context.Context, key string, value []byte) error
}

// Errors of a Store.
var (
	// ErrChanged is returned by Swap if a key no longer has the expected revision.
	ErrChanged = errors.New("the store has changed in the meantime")
	// ErrCompacted is returned by Watch if changes were compacted before it saw them.
	ErrCompacted = errors.New("the store has compacted the changes to watch")
)

// Entry is a key with its value and the revision of its last change.
type Entry struct {
	Key      string
	Value    []byte
	Revision int64
}

// Snapshot is the content of the store at one revision.
type Snapshot struct {
	Revision int64
	Entries  []Entry
}

// Update is one transaction's changes below a watched prefix. A deleted entry has a nil
// value.
type Update struct {
	Revision int64
	Entries  []Entry
}

// Change is one part of a transaction.
type Change struct {
	Key    string
	Was    int64 // the revision that the key must have; 0 if it must not exist
	Action Action
	Value  []byte // of Put
}

// Action is the effect of a Change.
type Action int

// The actions of a Change.
const (
	Expect Action = iota // changes nothing; the transaction depends on the key
	Put
	Delete
)
