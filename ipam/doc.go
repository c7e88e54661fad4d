// Package ipam is the arithmetic of address pools: which addresses of a subnet
// may be given out, by docker's rules, and which one is next.
//
// It stores nothing (leases are package lease's) and never looks at the
// network. It imports specs only.
package ipam
