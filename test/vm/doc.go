// Command vm runs berth's privileged tests on other kernels: Debian's cloud kernels,
// each in a virtual machine without network, from an initramfs with the statically
// linked test binaries.
//
//	go run ./test/vm                                    # all live tests, 6.1 and 6.12
//	go run ./test/vm -kernel 6.1 -run TestX ./network   # one of them
//	go run ./test/vm -kernel @forky,6.12@trixie ./bpf   # kernels of other suites of Debian
//	go run ./test/vm -kernel 6.12+nohz_full=1 ./bpf     # a word of the kernel's command line
//	go run ./test/vm -bench '-part paths -rounds 8'     # S7, ipvlan included
//	go run ./test/vm -nodes                             # two nodes on one LAN (package nodes)
//	go run ./test/vm -long -run TestSoak ./hook         # a thousand cycles, under both
//	go run ./test/vm -skips test.json -whole 6.1 ./hook # 6.12: only what test.json has as skipped
//	go run ./test/vm -skips test.json -whole 6.1 -others berth/bpf ./hook ./bpf # of it only what bpf has
//
// Without package patterns it runs the tests of all `*_live_test.go` files
// except those that need container engines, with -short unless -long is given: a
// soak test takes minutes there. Every feature that internal/testnet knows is
// required there, so no test is skipped because one is missing, except for a processor
// without ticks, which a kernel has by its command line (nohz_full). A machine that
// panics, hangs or ends without a verdict is a failure. The machines of several kernels
// run at once.
//
// Kernels are downloaded with apt-get and kept in the cache (BERTH_CACHE, or
// /var/cache/berth); nothing is installed. The exit status is 0 if all tests pass, 1
// if some do not, and 2 if they could not be run.
//
// With -bench it runs the parts of test/bench that need no compiler, in place of
// tests, and prints their output.
//
// With -nodes it boots two machines with a common LAN, one with each kernel, which follow a page
// of docs/ (package nodes).
//
// The machine is emulated (TCG): it shows the behaviour of a kernel, not its speed.
// Only ratios of measurements that alternated in one machine are meaningful.
package main
