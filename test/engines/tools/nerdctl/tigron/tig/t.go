// Package tig stands in for the package of that name in nerdctl's repository,
// which nerdctl's module replaces by a directory that the module proxy does not
// have. The main program imports it for this type only.
package tig

// T is the part of [testing.T] that nerdctl's helpers for tests call. The
// program itself calls none of them.
type T interface {
	Helper()
	Log(args ...any)
	FailNow()
}
