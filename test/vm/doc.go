// Command vm runs berth's privileged tests under other kernels: Debian's cloud
// kernels, each in a virtual machine without network, from an initramfs that
// holds the statically linked test binaries.
//
//	go run ./test/vm                                    # all live tests, 6.1 and 6.12
//	go run ./test/vm -kernel 6.1 -run TestX ./network   # one of them
//	go run ./test/vm -kernel @forky,6.12@trixie ./bpf   # kernels of other suites of Debian
//	go run ./test/vm -bench '-part paths -rounds 8'     # S7, ipvlan included
//	go run ./test/vm -long -run TestSoak ./hook         # a thousand cycles, under both
//
// Without package patterns it runs the tests of all `*_live_test.go` files
// except those that take container engines, with -short unless told -long: a
// soak takes minutes there. Every feature that internal/testnet knows is
// required there, so that nothing skips for want of one. A machine that panics,
// hangs or ends without a verdict is a failure.
//
// Kernels are downloaded with apt-get and kept in the cache (BERTH_CACHE, or
// /var/cache/berth); nothing is installed. Exit status: 0 all tests pass, 1 some do not, 2 they
// could not be run.
//
// With -bench it runs test/bench in place of tests, such parts of it as take no
// compiler, and prints what that prints.
//
// It is emulation (TCG): good for what a kernel does, not for how fast. Only the
// ratios of what took turns in one machine say anything.
package main
