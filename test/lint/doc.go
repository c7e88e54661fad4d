// Package lint checks the rules of this project that no linter knows: which room may
// import which, which modules the hook's binary may contain, and the English of
// comments and pages.
//
// It runs `go list`, reads the sources, and imports nothing of berth.
package lint
