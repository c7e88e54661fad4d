// Package network makes and reads links, addresses and routes: parents and their
// VLANs, macvlan and ipvlan interfaces in other network namespaces. It also probes
// for addresses and announces them on the LAN by ARP and Neighbor Discovery.
//
// It is the only package of berth that uses rtnetlink and the only one that enters
// namespaces ([Namespace.Do]). It decides nothing: the caller plans which interface
// gets which address, and the package keeps no records.
//
// It may import specs and internal/random, and no other package of berth.
package network
