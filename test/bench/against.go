package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"berth/test/lab"
)

// A build is berth as built from one source tree.
type build struct {
	name   string
	source string // its directory
	dir    string // for its programs
}

// ours is the build of this source tree.
func ours() build { return build{"this build", ".", filepath.Join(lab.Dir, "this")} }

// otherBuild returns the build of the source tree that -against names, or nil without it.
func otherBuild(source string) (*build, error) {
	if source == "" {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(source, "bpf")); err != nil {
		return nil, fmt.Errorf("-against %q: want the directory of a source tree of berth: %w", source, err)
	}
	return &build{"the other build", source, filepath.Join(lab.Dir, "other")}, nil
}

// testBinary builds the test program of a package and returns its path.
func (b build) testBinary(pkg string) (string, error) {
	path := filepath.Join(b.dir, filepath.Base(pkg)+".test")
	return path, b.goCommand("test", "-c", "-o", path, pkg)
}

// programs builds berth's programs as the Makefile does, and returns their directory.
func (b build) programs() (string, error) {
	bin := filepath.Join(b.dir, "bin")
	for _, what := range [][]string{{"grpcnotrace", "./cmd/..."}, {"hook", "./cmd/berth-hook"}} {
		err := b.goCommand("build", "-trimpath", "-ldflags", "-s -w", "-o", bin+"/", "-tags", what[0], what[1])
		if err != nil {
			return "", err
		}
	}
	return bin, nil
}

func (b build) goCommand(args ...string) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return fmt.Errorf("make a directory for %s: %w", b.name, err)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = b.source, append(os.Environ(), "CGO_ENABLED=0")
	if _, err := lab.Output(cmd); err != nil {
		return fmt.Errorf("build %s in %q: %w", b.name, b.source, err)
	}
	return nil
}
