// Package programs compares scripts/deps.sh with the code: every program that a test,
// script, demo or benchmark executes is installed for that purpose, or belongs to an
// essential package of Debian.
//
// The list of programs is derived from exec.Command and the functions that pass a name
// to it, and from the shell scripts in the tree, in Go's string literals and in
// docs/engines. A program that only a variable names is not found.
package programs
