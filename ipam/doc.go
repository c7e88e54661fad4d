// Package ipam gives out addresses and MACs of this host's own pools: the
// arithmetic of a subnet with docker's rules, and the leases, which live in
// the transactions of package state so that they are claimed and freed
// together with the attachment that has them.
//
// It never looks at the network: whether another host has an address is
// package network's to find out, before the address is used. It imports specs
// and internal/state only.
package ipam
