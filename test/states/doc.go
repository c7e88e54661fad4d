// Package states runs berth through random actions and compares the kernel and the
// records with a small model of berth's guarantees.
//
// The actions are starts and stops of containers, by the hook and by an engine's own door, connect and
// disconnect, restarts on a sticky network, the host shim, gc, the agent's start and end, enforcement
// that is switched on and off, a parent that is renamed, moved to another network namespace and
// back, or removed and made again, and, on a machine made for tests, steps of the clock. Any process
// may be killed at any moment. The model knows which
// containers must have which interfaces; after each round the test checks that
//
//   - no address and no MAC is on two interfaces of a parent,
//   - each interface of the model exists, as recorded,
//   - a restarted container of a sticky network has its address again, if that is free,
//   - no address is leased without an interface or a living namespace,
//   - each living endpoint is counted exactly while an agent runs,
//   - and nothing is left at the end.
//
// The programs are the test binary itself, started again: they are real processes, and
// tests on other kernels need no compiler.
package states
