// Package hostshim gives the host a way to the containers of a network, which
// macvlan otherwise never allows: an interface of the host's own beside the
// containers' on the same parent, with an address from the network's pool, and
// a route to each container's address and to nothing else. So the host's other
// traffic on that LAN keeps its way, and nobody else there notices.
//
//	facts → plan → reserve → apply → commit → routes
//
// There is one shim a network. Its record stands beside those of attachments,
// in a bucket of its own: it is no container's, has no counter slot and is not
// registered with the datapath. Taking one away looks at what there is, so the
// undo of an enable that failed, disable, and what the garbage collector does
// after a crash are one and the same.
//
// Routes follow the leases of containers ([Changes]) in whatever order hooks
// run, because they are set to what the records say, under a lock.
//
// The package makes no interface of a container's. It imports internal/state,
// internal/lease, internal/plumb, ipam, network and specs.
package hostshim
