// Package release undoes a recorded attachment: the link is deleted, then the
// addresses, the MAC and the VLAN are free, then, when no frame can be counted
// any more, the counts become final and the counter slot is free.
//
// It is used by the poststop hook, by the undo of an attachment that failed,
// by `berth gc` and by the agent, at any time and by several at once. Each
// step can be repeated and leaves a record from which another process goes on.
//
// It makes nothing and decides nothing about containers. It imports
// internal/state, internal/plumb, internal/hostshim, network, bpf and specs.
package release
