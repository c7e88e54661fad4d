package install

import (
	"context"
	"fmt"
	"os/exec"
	"time"

	"berth/internal/engineversion"
)

// versionTimeout bounds the run of a program that prints its version.
const versionTimeout = 10 * time.Second

// AskVersion runs a program with --version.
func AskVersion(program string) (engineversion.Version, error) {
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return engineversion.Version{}, fmt.Errorf("read the version of %s: %w", program, err)
	}
	return engineversion.Parse(string(out))
}

// engineVersion returns the engine's version, if it can be read.
func (p *planner) engineVersion(program string) engineversion.Version {
	path := p.o.lookPath(program)
	if path == "" {
		return engineversion.Version{}
	}
	ask := p.o.Version
	if ask == nil {
		ask = AskVersion
	}
	v, err := ask(path)
	if err != nil {
		p.addNote("%v", err)
	}
	return v
}
