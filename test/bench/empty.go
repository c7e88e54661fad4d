package main

import (
	"os"
	"os/exec"
	"path/filepath"

	"berth/test/lab"
)

// emptyGo is the cost of starting any Go program, a lower limit for a hook.
const emptyGo = "empty Go program"

// newEmpty builds a program that does nothing, and returns it as a peer in place of the
// hook.
func newEmpty(dir string) (peer, error) {
	source, program := filepath.Join(dir, "empty.go"), filepath.Join(dir, "empty")
	if err := os.WriteFile(source, []byte("package main\n\nfunc main() {}\n"), 0o600); err != nil {
		return peer{}, err
	}
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if _, err := lab.Output(build); err != nil {
		return peer{}, err
	}
	run := func(string, int) command { return command{path: program} }
	return peer{name: emptyGo, attach: run, detach: run}, nil
}
