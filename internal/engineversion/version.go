// Package engineversion has the versions of engines, and the rules that depend on nothing else.
//
// [Parse] returns a [Version].
//
// It runs no program. It imports only Go's library.
package engineversion

import (
	"fmt"
	"strconv"
	"strings"
)

// Version is an engine's version. The zero value means not known.
type Version struct {
	Major, Minor int
	Text         string // as printed by the program
}

// Known reports whether the version is known.
func (v Version) Known() bool { return v.Text != "" }

// AtLeast compares versions; an unknown one is lower than all.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor && v.Known()
}

// JoinsNamespaces reports whether a docker creates the network namespace of a container before it
// calls the driver of a network. An unknown version is taken for a new one.
func (v Version) JoinsNamespaces() bool {
	return !v.Known() || v.AtLeast(28, 0) || v.Major == 26 && v.Minor == 0
}

// KeepsRefused reports whether a containerd keeps the sandbox of a pod that a plugin of NRI refuses:
// from 2.0 on, until 2.2.6 and 2.3.3 (https://github.com/containerd/containerd/issues/13609).
func (v Version) KeepsRefused() bool {
	switch {
	case !v.AtLeast(2, 0) || v.AtLeast(2, 4):
		return false
	case v.AtLeast(2, 3):
		return v.patch() < 3
	case v.AtLeast(2, 2):
		return v.patch() < 6
	}
	return true
}

// patch returns the third number of a version, or 0.
func (v Version) patch() int {
	parts := strings.SplitN(v.Text, ".", 3)
	if len(parts) < 3 {
		return 0
	}
	end := strings.IndexFunc(parts[2], func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(parts[2])
	}
	n, _ := strconv.Atoi(parts[2][:end]) // without digits it is 0
	return n
}

// Parse finds the version in an engine's output: the first word that begins like one.
func Parse(text string) (Version, error) {
	for _, word := range strings.Fields(text) {
		word = strings.TrimRight(strings.TrimPrefix(word, "v"), ",")
		major, rest, ok := strings.Cut(word, ".")
		minor, _, _ := strings.Cut(rest, ".")
		minor, _, _ = strings.Cut(minor, "-")
		a, err1 := strconv.Atoi(major)
		b, err2 := strconv.Atoi(minor)
		if ok && err1 == nil && err2 == nil {
			return Version{a, b, word}, nil
		}
	}
	return Version{}, fmt.Errorf("no version in %q", text)
}
