// Package ipam computes address pools: which addresses of a subnet may be given
// out, by docker's rules, and which one is next.
//
// [PoolOf] returns the [Pool] of a subnet.
//
// It stores nothing (package lease stores leases) and never reads the network. It
// imports specs only.
package ipam
