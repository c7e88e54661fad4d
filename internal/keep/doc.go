// Package keep keeps the DHCP leases of attachments: it renews them, replaces an
// address that a server replaces, and asks again if a lease is lost. It is the body of
// the program berth-dhcp.
//
// Run of a [Keeper] keeps the leases until its context ends or, on request, no lease is left.
//
// All that must outlast the process is in the records; the kernel holds each address
// with its lifetimes. So a keeper that is killed at any point leaves no address that
// outlives its lease, and the next one continues. It holds a namespace only while it
// waits for an answer in it.
//
// It imports dhcp, internal/release and the rooms below. It needs CAP_SYS_ADMIN to
// enter namespaces, CAP_NET_RAW and CAP_NET_ADMIN there, and CAP_BPF for the pinned
// maps.
package keep
