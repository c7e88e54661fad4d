package state

import "errors"

// Errors of a transaction.
var (
	// ErrNotFound is returned for a key that no live attachment has.
	ErrNotFound = errors.New("no such attachment")
	// ErrNoSlot is returned when every counter slot is in use.
	ErrNoSlot = errors.New("no free counter slot: agent.max_endpoints in berth.toml is the number there are")
)

// Errors of opening the database or a lock.
var (
	// ErrBusy is returned when a lock was not had within its deadline.
	ErrBusy = errors.New("held by another process")
	// ErrUnsafe is returned for a directory that others than its owner could
	// have written to.
	ErrUnsafe = errors.New("not a directory that only its owner can write")
	// ErrDamaged is returned when the database, or a record in it, cannot be
	// read. Where a transaction returned it, the database has been set aside
	// and the next one starts anew: nothing in it could be trusted. Damage that
	// shows before the transaction begins is mended without this error.
	ErrDamaged = errors.New("damaged database")
	// ErrVersion is returned for a database of another layout.
	ErrVersion = errors.New("database of another version of berth; stop berth's containers or reboot to start anew")
)
