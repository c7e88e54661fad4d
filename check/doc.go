// Package check answers two questions: whether a host and a network are fit for containers
// ([Checker.Preflight], before anything is started), and whether the kernel's state matches
// berth's records ([Checker.Attached]).
//
// Each half is a gatherer, which queries the kernel and reads files, and judges, which are
// pure functions of those facts and yield [Line]s. Nothing is changed: no module is loaded,
// no interface created, no file written. A fact that cannot be read is reported, not
// guessed.
//
// It may import network, bpf, dhcp, ipam, internal and specs. It does not contact the agent: the
// caller passes the agent's status in.
package check
