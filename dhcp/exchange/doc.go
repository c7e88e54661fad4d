// Package exchange carries the messages of a DHCP client: packet sockets in the
// namespace of an interface, with the interface's own MAC, also before it has an
// address. So a reply reaches the client from a server on the wire, on the host
// shim and on a sibling, and the datapath counts the messages as the container's.
//
// [Acquire] gets the first lease, [Turn] carries out any other exchange, [GiveBack] releases a
// lease, and [Discover] asks for offers.
//
// It imports dhcp, network and specs. It neither stores leases nor sets addresses.
package exchange
