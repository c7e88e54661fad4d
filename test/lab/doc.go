// Package lab makes a small LAN out of network namespaces, and hosts on it
// that run real container engines with berth: the ground for the end-to-end
// tests, the benchmarks and the demo.
//
// All of it is inside one isolated child process (see [Isolate]), which sees
// a /run, /etc, /dev/shm and cgroup tree of its own and none of the machine's
// interfaces, and with which everything that it started ends. So nothing here
// has to be undone, and runs at once do not meet.
//
// It knows berth from outside only, as programs and files, and may import
// specs and what berth's modules do, but no room.
package lab
