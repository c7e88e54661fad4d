// Package netavark is berth's plugin of netavark, by which podman has networks with berth as
// their driver (netavark, plugin-API.md, version 1.0.0).
//
// Run of a [Plugin] carries out one command.
//
//	arguments, standard input → call → selection → hook.Attach → status block
//
// The commands create, setup, teardown and info translate between podman's files and package
// hook, which has the rules: create is Allow, setup is Attach, teardown is Detach. Package
// specs reads podman's text. The records name the door and podman's network, so that a
// teardown takes back nothing that a hook or an administrator has made.
package netavark
