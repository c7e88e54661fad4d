// Package pools makes this machine a node of a cluster: it keeps the node's parts of the pools
// that nodes share, by package cluster and its store on etcd, and opens and closes them in the
// database of this machine. The hook leases from open parts only, and never waits for etcd
// while there is a free address. It also publishes this node's attachments, and reads those of
// all nodes for the commands.
//
// [Member] is the node; its Run does the work until the context ends.
//
// It decides nothing about ownership (package cluster does) and attaches nothing.
package pools
