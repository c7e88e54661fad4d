// Package ground is what an agent stands on before it does anything: the
// capabilities that it keeps, the lock of the one agent of a state directory and
// of a folder of pinned objects, and whether both are still there.
//
// It knows nothing of parents, endpoints or frames. It imports internal/state and
// bpf only.
package ground
