// Package state keeps what berth must remember between two runs: which
// container has which interface, with which addresses, MAC, counter slot and
// VLAN. It is one bbolt file, so that one transaction claims or frees all of
// an attachment.
//
// Nothing in it is worth anything after a reboot, because namespaces do not
// survive one: the database carries the boot id, another boot's is set aside,
// and nothing is ever synced to disk. What a SIGKILL leaves is consistent.
//
// The package does not talk to the kernel's network, decides no addresses
// (package lease does, in the same transaction) and reads no configuration. It
// imports no room of berth but specs.
package state
