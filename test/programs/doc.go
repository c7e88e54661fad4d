// Package programs holds scripts/deps.sh to the code: every program that a
// test, script, demo or benchmark executes is installed for that purpose, or is
// of an essential package of Debian's.
//
// The list is derived: from exec.Command and the functions that pass a name on
// to it, and from the shell scripts in the tree, in Go's string literals and in
// docs/engines. A program that is named by a variable alone is not found.
package programs
