// Package cluster decides which blocks of addresses, static addresses and MAC prefixes
// this node owns of pools that many nodes share, and keeps the node's file of them.
// specs/cluster.md states its promises.
//
// Plan is pure. Keeper applies plans: it writes the node's file before it acts, and
// changes the shared store by compare-and-swap alone. The store is behind an interface of
// four methods; package etcd implements it.
//
// It does not lease addresses to containers (package lease does, from the blocks that are
// open) and opens no connection. It imports ipam, specs and regular of berth's packages.
package cluster
