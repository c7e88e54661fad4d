// Command bench compares berth with alternatives: Debian's CNI plugins macvlan and
// host-local, a Linux bridge with veth pairs, an empty TC program, and the same host
// without berth's agent. Compared measurements alternate in one run, so that noise of
// the machine affects both. It prints tables with ratios beside the goals, and with
// -write stores them in a page with the machine, the date and the load. With -against, the
// datapath or the hook of another source tree takes turns with this one's.
//
// Each part runs on a LAN of its own (see [berth/test/lab]), and can run alone. The
// bench executes berth's programs. It imports rooms only to create thousands of
// records as a host would have them, and to read the maps.
package main
