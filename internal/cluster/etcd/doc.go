// Package etcd is the store of package cluster on etcd (version 3.4 or later), by its gRPC
// client. Reads are linearizable, changes are transactions that compare revisions. A
// lease decides nothing: it only ends a node's presence.
//
// [Open] returns the [Store].
//
// The keys of berth are below one prefix, so that an etcd role can be limited to it. The
// package does not interpret keys and values.
package etcd
