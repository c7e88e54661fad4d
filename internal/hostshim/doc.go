// Package hostshim lets the host reach the containers of a network, which macvlan
// alone never allows. It makes an interface of the host beside the containers' on
// the same parent, with an address from the network's pool and a route to each
// container's address only. The routes of the host's other traffic on that LAN do
// not change, and no other machine there is affected.
//
//	facts → plan → reserve → apply → commit → routes
//
// There is one shim per network. Its record is stored beside those of
// attachments, in its own bucket: a shim belongs to no container, has no counter
// slot and is not registered with the datapath. Removal reads the kernel's state,
// so the undo of a failed enable, disable, and the garbage collector after a
// crash share one function.
//
// Routes follow the leases of containers ([Changes]). The hooks may run in any
// order, because routes are set to match the records, under a lock.
//
// The package makes no interface of a container. It imports internal/digest,
// internal/lease, internal/plumb, internal/random, internal/state, ipam, network and specs.
package hostshim
