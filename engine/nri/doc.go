// Package nri is berth as a plugin of NRI, the interface by which containerd (1.7 and
// newer) and CRI-O report the start and end of Kubernetes pods. A pod that requests
// networks is attached when its sandbox exists and none of its containers does, and
// released when the sandbox ends.
//
// Serve of a [Plugin] connects to a runtime, and ServeLaunched to the one that started the
// process.
//
// It does the same as the hook, by the hook's library, in one process that lives as long as
// the node. It interprets no annotation by itself, counts nothing, and does not use the
// Kubernetes API. It may import hook, internal, network and specs.
package nri
