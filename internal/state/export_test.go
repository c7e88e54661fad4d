package state

// Names that tests write to and look for.
const (
	NameDB      = nameDB
	NameDamaged = nameDamaged
	NameOld     = nameOld
	NameLock    = nameLock
)
