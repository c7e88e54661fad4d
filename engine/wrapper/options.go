package wrapper

import (
	"fmt"
	"path/filepath"
	"strings"
)

// ownPrefix begins the flags of berth's.
const ownPrefix = "berth-"

// Attach says when a container is attached.
type Attach string

// The moments of attaching.
const (
	// AtCreate is in a createRuntime hook, before the container is there for
	// the engine.
	AtCreate Attach = "create"
	// AtStart is when the engine starts what it created. Engines that give a
	// container its network between the two then have done so, and berth's
	// interface and routes come last.
	AtStart Attach = "start"
)

// lateSuffix ends the name of a program that attaches at start unless a flag
// says otherwise: most engines take a path for their runtime, and no flags.
const lateSuffix = "-late"

// Options are berth's own flags.
type Options struct {
	Config, State, BPFFS string // absolute; "": not given, the programs' default
	Runtime              string // "": the first one found
	Attach               Attach
	Version              bool
}

func optionsOf(name string) Options {
	if strings.HasSuffix(filepath.Base(name), lateSuffix) {
		return Options{Attach: AtStart}
	}
	return Options{Attach: AtCreate}
}

// set takes over a flag of berth's, and returns how many of the arguments that
// follow it used.
func (o *Options) set(f option, next []string) (used int, err error) {
	if f.name == ownPrefix+"version" {
		o.Version = true
		return 0, nil
	}
	if !f.valued {
		if len(next) == 0 {
			return 0, fmt.Errorf("flag --%s: want a value", f.name)
		}
		f.value, used = next[0], 1
	}
	switch strings.TrimPrefix(f.name, ownPrefix) {
	case "config":
		o.Config, err = absolute(f)
	case "state":
		o.State, err = absolute(f)
	case "bpffs":
		o.BPFFS, err = absolute(f)
	case "runtime":
		o.Runtime = f.value
	case "attach":
		o.Attach = Attach(f.value)
		if o.Attach != AtCreate && o.Attach != AtStart {
			err = fmt.Errorf("flag --%s: %q: want %q or %q", f.name, f.value, AtCreate, AtStart)
		}
	default:
		err = fmt.Errorf("unknown flag --%s: want --berth-attach, -config, -state, -bpffs, -runtime or -version", f.name)
	}
	return used, err
}

// absolute is the path that a flag names: hooks run elsewhere.
func absolute(f option) (string, error) {
	if f.value == "" {
		return "", fmt.Errorf("flag --%s: %q: want a directory", f.name, f.value)
	}
	return filepath.Abs(f.value)
}

// readsByGetopt says whether a runtime reads its flags by getopt_long(3), as
// crun does, and krun, which is another name of it.
func readsByGetopt(runtime string) bool {
	name := filepath.Base(runtime)
	return strings.Contains(name, "crun") || strings.Contains(name, "krun")
}

// state is the directory of berth's state.
func (o *Options) state() string {
	if o.State == "" {
		return defaultState
	}
	return o.State
}

// defaultState is internal/config's; a test compares.
const defaultState = "/run/berth"

// hookArgs are the arguments of berth-hook for a stage.
func (o *Options) hookArgs(stage string) []string {
	args := []string{hookName}
	for _, dir := range []struct{ flag, value string }{
		{"--config", o.Config}, {"--state", o.State}, {"--bpffs", o.BPFFS},
	} {
		if dir.value != "" {
			args = append(args, dir.flag, dir.value)
		}
	}
	return append(args, stage)
}
