// Package ground holds the agent's preconditions: the capabilities that it keeps, the locks
// of the one agent of a state directory and of a directory of pinned objects, and the check
// that both still exist.
//
// The agent calls [Confine], [LockAgent] and [LockBPFFS] at its start, and Check of a [Ground]
// from time to time.
//
// It is independent of parents, endpoints and frames. It imports internal/state and bpf
// only.
package ground
