// Command bench compares the exec of berth-hook with that of the CNI plugins
// macvlan and host-local, as Debian has them, on one host with one parent and
// in one interleaved run, so that a noisy machine is as noisy for both. It
// prints medians and their ratios beside the goals.
//
// The cost of the TC program is a benchmark of the package bpf: `make bench`
// runs both.
package main
