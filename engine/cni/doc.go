// Package cni is berth-cni, a plugin of the Container Network Interface, version 1.1.0 and
// every version back to 0.3.1.
//
// Run of a [Plugin] carries out one call.
//
//	environment, standard input → call → selection → hook.Attach → result
//
// Each operation is one call of package hook, which has the rules: ADD is Attach, DEL is
// Detach, GC is Collect, STATUS is Ready. CHECK compares the records with the kernel, by
// package drift. The plugin only translates: the configuration (package specs) and CNI_ARGS
// into a selection, an attachment into a result, an error into a code.
//
// The records name the door and CNI's name of the network, so that DEL and GC take back
// nothing that a hook, an administrator or another CNI network has made.
package cni
