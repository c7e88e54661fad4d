// Command bench measures berth side by side with what it is to be better than:
// Debian's CNI plugins macvlan and host-local, a Linux bridge with veth pairs,
// an empty TC program, and the same host without berth's agent. What is
// compared takes turns in one run, so that a noisy machine is as noisy for
// both. It prints tables with ratios beside the goals, and with -write puts
// them into a page with the machine, the date and the load.
//
// It has parts, each on a LAN of its own (see [berth/test/lab]), which can be
// run alone. Of berth it runs the programs; it imports rooms only to put
// thousands of records where a host would have them, and to read the maps.
package main
