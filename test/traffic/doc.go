// Package traffic makes a LAN with a host on it that has a network of every
// mode, and the mixed traffic that containers, the host and others legitimately
// have there: TCP with segmentation offload, UDP with fragments, IPv6 with
// router advertisements, multicast and broadcast, DHCP clients, containers that
// are started again with the same MAC, addresses that move.
//
// It is what the benchmarks and a test look for false alarms with. It knows
// berth as programs and by the agent's socket, as berth/test/lab does.
package traffic
