// Package command runs programs of this machine for the suites of tests: their
// errors have the command and its output.
//
// [Execute] runs a program; [Output] returns its standard output; [HookClient] installs a program
// that Go does not build.
package command

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// Execute runs a program with variables added to the environment. An error has the
// last lines of the program's output.
func Execute(ctx context.Context, env []string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return failed(cmd, err, string(out))
	}
	return nil
}

// Output runs a program in a directory, the current one if empty, and returns its
// standard output. An error has the last lines of its standard error.
func Output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", failed(cmd, err, stderr.String())
	}
	return string(out), nil
}

// Go runs the go command in a directory, for static programs. All suites build
// with the flags of make, so that one build cache serves them.
func Go(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath -buildvcs=false")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return failed(cmd, err, string(out))
	}
	return nil
}

// HookClient copies the client of the resident berth-hook from a source tree to a directory of
// programs, as the Makefile does. It is no program of Go.
func HookClient(ctx context.Context, source, dir string) error {
	built := filepath.Join(source, "engine/resident/client/berth-hook-client-"+runtime.GOARCH)
	return Execute(ctx, nil, "install", "-m755", built, filepath.Join(dir, "berth-hook-client"))
}

// quoted is the number of lines of output in an error.
const quoted = 20

func failed(cmd *exec.Cmd, err error, output string) error {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err,
		strings.Join(lines[max(0, len(lines)-quoted):], "\n"))
}
