package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"

	programs "berth/test/command"
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

// hookLink is HOOK_LINK of the Makefile.
const hookLink = " -X runtime.godebugDefault=memprofilerate=0"

// programs builds berth's programs as the Makefile does, installs them, and returns their directory.
func (b build) programs() (string, error) {
	built, bin := filepath.Join(b.dir, "built"), filepath.Join(b.dir, "bin")
	for _, what := range []struct {
		tag, link string
		programs  []string
	}{{"grpcnotrace", "", []string{"./cmd/..."}},
		{"hook", hookLink, []string{"./cmd/berth-hook", "./cmd/berth-cni", "./cmd/berth-netavark"}}} {
		err := b.goCommand(slices.Concat([]string{"build", "-trimpath", "-ldflags", "-s -w" + what.link, "-o", built + "/",
			"-tags", what.tag}, what.programs)...)
		if err != nil {
			return "", err
		}
	}
	if err := b.hookClient(built); err != nil {
		return "", err
	}
	return bin, install(built, bin)
}

// hookClient copies the client of the resident berth-hook, which an older build has not.
func (b build) hookClient(dir string) error {
	if _, err := os.Stat(filepath.Join(b.source, "engine/resident")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return programs.HookClient(context.Background(), b.source, dir)
}

// install copies programs into a directory, as the installation of a package does. The pages of a
// program that Go's linker has just written are single in the page cache, and starts of it take a few
// per cent longer.
func install(from, to string) error {
	programs, err := os.ReadDir(from)
	if err == nil {
		err = os.MkdirAll(to, 0o755)
	}
	for _, one := range programs {
		var text []byte
		if err == nil {
			text, err = os.ReadFile(filepath.Join(from, one.Name()))
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(to, one.Name()), text, 0o755)
		}
	}
	return err
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
