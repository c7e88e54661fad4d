// Package network makes and looks at links, addresses and routes: parents and
// their VLANs, macvlan and ipvlan interfaces in other network namespaces, and
// what is said about them on the LAN by ARP and Neighbor Discovery.
//
// It is the only room of berth that talks rtnetlink and the only one that
// enters namespaces ([Namespace.Do]). It decides nothing: which interface gets
// which address is the caller's plan, and it keeps no records.
//
// It may import specs, and no other room of berth.
package network
