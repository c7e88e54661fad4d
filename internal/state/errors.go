package state

import "errors"

// Errors of a transaction.
var (
	// ErrNotFound is returned if no live attachment has the key.
	ErrNotFound = errors.New("no such attachment")
	// ErrNoSlot is returned if every counter slot is in use.
	ErrNoSlot = errors.New("no counter slot is free; raise max_endpoints under [agent] in berth.toml")
)

// Errors of opening the database or a lock.
var (
	// ErrBusy is returned if a lock was not acquired within its deadline.
	ErrBusy = errors.New("held by another process")
	// ErrUnsafe is returned for a directory in which other users could have placed files.
	ErrUnsafe = errors.New("not a directory that only root can change")
	// ErrDamaged is returned if the database, or a record in it, cannot be read.
	// If a transaction returned it, the database has been set aside and the next
	// transaction starts with a new one: no data in it could be trusted. Damage
	// that is found before the transaction begins is repaired without this error.
	ErrDamaged = errors.New("damaged database")
	// ErrVersion is returned for a database of another layout.
	ErrVersion = errors.New("the database is of another version of berth; stop berth's containers, or reboot, to begin " +
		"a new one")
)
