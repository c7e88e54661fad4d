// Package lease stores the addresses and MACs that attachments hold, in the
// transactions of package state, so that a lease is claimed and freed together
// with its attachment. It also remembers the last addresses of the interfaces
// of sticky networks.
//
// It never looks at the network: whether another host has an address is
// decided by a probe (package network) before the address is used. It imports
// specs, ipam and internal/state only.
package lease
