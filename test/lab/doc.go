// Package lab makes a small LAN out of network namespaces, and hosts on it that run real
// container engines with berth, for the end-to-end tests, the benchmarks and the demo.
//
// All of it is inside one isolated child process (see [Isolate]). It has its own /run,
// /etc, /dev/shm and cgroup tree, and none of the machine's interfaces. All processes
// that it started end with it. So nothing here has to be undone, and concurrent runs do
// not affect each other.
//
// It uses berth only as programs and files. It may import specs and the packages of test, but no
// other room.
package lab
