// Package plumb is the steps that every interface of berth's on a parent goes
// through, whether it is a container's or a network's host shim: the leases that
// it claims and gives back, the probe for its addresses and the exchange of one
// that is in use, and the VLAN sub-interface that it stands on.
//
// It knows no record and no plan: the callers (hook, hostshim, release) write
// their records in the same transactions. It makes no interface. It imports
// internal/lease, internal/state, ipam, network and specs.
package plumb
