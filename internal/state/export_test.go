package state

// Names of files that tests write and read.
const (
	NameDB      = nameDB
	NameDamaged = nameDamaged
	NameOld     = nameOld
	NameLock    = nameLock
)
