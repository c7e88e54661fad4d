// Package tree builds bare Debian systems with debootstrap and runs commands in
// them, as on a machine with nothing but that system.
//
// [Build] makes a tree of one suite (bookworm, trixie, forky) with minbase and
// named packages, from the mirror of this machine's own apt sources, and keeps
// it in the cache ([Cache]). [Sandbox.Run] runs a command in a tree: in mount,
// PID, IPC, UTS and cgroup namespaces of its own, with an overlay as its root
// directory, so that the cached tree stays as it was built. The command sees
// the machine's network, unless [Sandbox.OwnNet] is set, its kernel, and the files in
// [Sandbox.Binds]. All other files are the tree's. Every process that the
// command has started ends with it, and its changes are deleted.
//
// A program that uses the package calls [Enter] first in main, or in TestMain:
// it is started again as the first process of the namespaces.
//
// The package does not configure a firewall, a user namespace or a limit of
// resources: a tree is a place for tests, not a boundary against attackers.
package tree
