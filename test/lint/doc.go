// Package lint holds the rules of the house that no linter knows: which room
// may import which, and what the hook's binary may be made of.
//
// It asks `go list` only and imports nothing of berth.
package lint
