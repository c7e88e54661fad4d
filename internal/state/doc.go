// Package state keeps berth's records between two runs: which container has which
// interface, with which addresses, MAC, counter slot and VLAN. It is one bbolt
// file, so that one transaction claims or frees everything of an attachment.
//
// Its content is worthless after a reboot, because namespaces do not survive one:
// the database contains the boot ID, another boot's database is set aside, and
// nothing is ever synced to disk. After a SIGKILL the database is consistent.
//
// The package does not use the kernel's network, chooses no addresses (package
// lease does, in the same transaction) and reads no configuration. It imports no
// package of berth except internal/plain and specs.
package state
