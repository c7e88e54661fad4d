// Package programs compares scripts/deps.sh with the code: every program that a test,
// script, demo or benchmark executes is installed for that purpose, or belongs to an
// essential package of Debian.
//
// The list of programs is derived from the calls of Go that start one, the functions that pass
// a name to those, and the constants that name one; from each shell script, as a file of the
// tree, in a string of Go or in another script; and from the Makefile, the units and the
// examples in docs/engines. A program whose name is computed is not found.
package programs
