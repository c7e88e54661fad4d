// Package lint holds the rules of the house that no linter knows: which room
// may import which, which modules the hook's binary may contain, and the English
// of comments and pages.
//
// It asks `go list`, reads the sources, and imports nothing of berth.
package lint
