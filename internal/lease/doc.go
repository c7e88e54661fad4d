// Package lease stores the addresses and MACs that attachments, host shims and reservations
// hold, in the transactions of package state, so that a lease is claimed and freed together
// with the record of its owner. It also remembers the last addresses of the interfaces of
// networks that are sticky or use DHCP, and the order in which the addresses of a network were
// released.
//
// [In] returns the [Leases] of a layer-2 domain in a transaction.
//
// It never reads the network: a probe (package network) decides whether another
// host has an address before the address is used. It imports only specs, ipam,
// internal/digest, internal/plain, internal/random, internal/state and internal/text.
package lease
