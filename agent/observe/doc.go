// Package observe finds the macvlan, ipvlan, macvtap and ipvtap interfaces on the host's
// parents that berth did not create, in all network namespaces.
//
// It uses netlink from the host's namespace only, and enters no other one: [Namespaces]
// gives each namespace an ID there, and [Scanner] lists its links by that ID. CAP_NET_ADMIN
// suffices for both. [FindHolders] and [FindGuests] read /proc for the container, machine or
// process behind an interface.
//
// It changes no interface, keeps no records and counts nothing. It imports network and
// specs.
package observe
