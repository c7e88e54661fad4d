// Package nri is berth as a plugin of NRI, the interface by which containerd
// (1.7 and newer) and CRI-O tell of the pods that they start and end for
// Kubernetes. A pod that asks for networks is attached when its sandbox is
// there and none of its containers is, and released when the sandbox ends.
//
// It does what the hook does, by the hook's library, in one process that lives
// as long as the node. It judges no annotation by itself, counts nothing, and
// asks nothing of the Kubernetes API. It may import hook, internal and network.
package nri
