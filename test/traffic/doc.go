// Package traffic makes a LAN with a host that has a network of every mode, and the mixed
// legitimate traffic of containers, the host and other machines: TCP with segmentation
// offload, UDP with fragments, IPv6 with router advertisements, multicast and
// broadcast, DHCP clients, restarted containers with the same MAC, and addresses that
// move.
//
// [NewSite] makes the LAN; Round of a [Site] makes one round of traffic.
//
// The benchmarks and a test use it to find false alarms. It uses berth only as programs
// and through the agent's socket, as berth/test/lab does.
package traffic
