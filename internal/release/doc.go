// Package release undoes a recorded attachment: it deletes the link, then frees
// the addresses, the MAC and the VLAN, then, once no frame can be counted any
// more, stores the final counts and frees the counter slot (the drain).
//
// A [Releaser] does that: Container for one container that has ended, Collect for all stale
// attachments.
//
// The poststop hook, `berth gc`, every hook run and the agent use it, at any time and several at
// once. Each step can be repeated and leaves a record from which another process can continue.
// The undo of a failed attach is in package hook (commit.go).
//
// It makes nothing and decides nothing about containers. It imports
// internal/state, internal/lease, internal/plumb, internal/hostshim, dhcp, network, bpf
// and specs.
package release
