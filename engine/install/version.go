package install

import (
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Version is that of an engine. The zero value is one that is not known.
type Version struct {
	Major, Minor int
	Text         string // as the program tells it
}

// Known reports whether the version was found out.
func (v Version) Known() bool { return v.Text != "" }

// AtLeast compares versions; one that is not known is below all.
func (v Version) AtLeast(major, minor int) bool {
	return v.Major > major || v.Major == major && v.Minor >= minor && v.Known()
}

// versionTimeout is how long a program may take to tell its version.
const versionTimeout = 10 * time.Second

// AskVersion runs a program with --version.
func AskVersion(program string) (Version, error) {
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return Version{}, fmt.Errorf("ask %s for its version: %w", program, err)
	}
	return ParseVersion(string(out))
}

// ParseVersion finds the version in what an engine prints: the first word that
// begins as one.
func ParseVersion(text string) (Version, error) {
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

// version is the engine's, as far as it can be asked.
func (p *planner) version(program string) Version {
	path := p.o.lookPath(program)
	if path == "" {
		return Version{}
	}
	ask := p.o.Version
	if ask == nil {
		ask = AskVersion
	}
	v, err := ask(path)
	if err != nil {
		p.note("%v", err)
	}
	return v
}
