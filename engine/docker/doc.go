// Package docker is a remote network driver and IPAM driver of docker: the protocol, the networks
// that docker created in the driver, and the translation of docker's options into a selection.
//
//	unix socket → Server → hook.Reserve, hook.Attach → answer
//
// docker creates a network in its driver once, and expects the driver to know the network
// after a reboot: [Networks] keeps it in a file. Addresses are leases and reservations of
// berth's database, and endpoints are beside them: they end with the boot. The package sends
// docker no request, because docker waits for the answer of each call. It has no rules for
// addresses of its own. It imports hook, ipam, specs, dhcp/exchange, internal/config, internal/lease, internal/regular,
// internal/plumb and internal/state.
package docker
