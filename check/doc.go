// Package check answers two questions: whether a host and a network are fit
// for containers ([Checker.Preflight], before anything is started), and
// whether what berth recorded is what the kernel has ([Checker.Attached]).
//
// Each half is a gatherer, which asks the kernel and reads files, and judges,
// which are functions of those facts alone and yield [Line]s. Nothing is
// changed: no module is loaded, no interface made, no file written. What cannot
// be seen is said, not guessed.
//
// It may import network, bpf, ipam, internal and specs. It talks to no agent:
// the caller hands in what that said.
package check
