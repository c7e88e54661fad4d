// Command engines runs the end-to-end tests on the container engines of newer
// Debians: docker, containerd, nerdctl, podman and the CRI, each in a tree that
// has it (see package tree), without the machine's network, one after another.
//
//	go run ./test/engines                        all of them
//	go run ./test/engines -suite forky docker    one
//	go run ./test/engines -run TestDockerUsers -v docker
//
// The tests are those of test/e2e with the build tag engines, compiled here,
// because the trees have no Go. Programs that Debian does not package come from
// Go's module proxy, each by a module of its own below tools. Trees and tools are
// kept in the cache of package tree. Images consist of the tree's own busybox;
// nothing is pulled.
//
// The tests of ipvlan run in an emulated machine (see package machine) whose root file
// system is the tree, with Debian's kernel. They take some minutes, and run only if named.
package main
