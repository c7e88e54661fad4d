// Package plumb contains the steps that all of berth's interfaces on a parent
// share, of containers and of host shims: their leases, the probe for their
// addresses and the replacement of one that is in use, and the VLAN sub-interface
// below them.
//
// It uses no record and no plan: the callers (hook, hostshim, release) write
// their records in the same transactions. It makes no interface. It imports
// internal/lease, internal/state, dhcp, ipam, network and specs.
package plumb
