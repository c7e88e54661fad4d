package wrapper

import (
	"fmt"
	"path/filepath"
	"strings"

	"berth/engine/program"
)

// ownPrefix begins berth's flags.
const ownPrefix = "berth-"

// Attach is the time at which a container is attached.
type Attach string

// The times of attaching.
const (
	// AtCreate attaches in a createRuntime hook, before the engine has the container.
	AtCreate Attach = "create"
	// AtStart attaches when the engine starts the created container. An engine that gives a
	// container its network between the two has then done so, and berth's interface and
	// routes come last.
	AtStart Attach = "start"
)

// lateSuffix ends the name of a program that attaches at start by default: most engines
// accept a path for their runtime, and no flags.
const lateSuffix = "-late"

// Options are berth's own flags.
type Options struct {
	Config, State, BPFFS string // absolute; "" if not given, for the programs' default
	Runtime              string // "" for the first one found
	Attach               Attach
	Help, Version        bool
}

func optionsOf(name string) Options {
	if strings.HasSuffix(filepath.Base(name), lateSuffix) {
		return Options{Attach: AtStart}
	}
	return Options{Attach: AtCreate}
}

// setOption stores a flag of berth's, and returns the number of following arguments that it used.
func (o *Options) setOption(f option, next []string) (used int, err error) {
	switch f.name {
	case ownPrefix + "help":
		o.Help = true
		return 0, nil
	case ownPrefix + "version":
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
		o.Config, err = absolutePath(f)
	case "state":
		o.State, err = absolutePath(f)
	case "bpffs":
		o.BPFFS, err = absolutePath(f)
	case "runtime":
		o.Runtime = f.value
	case "attach":
		o.Attach = Attach(f.value)
		if o.Attach != AtCreate && o.Attach != AtStart {
			err = fmt.Errorf("flag --%s: %q: want %q or %q", f.name, f.value, AtCreate, AtStart)
		}
	default:
		err = fmt.Errorf("unknown flag --%s: want --berth-attach, -bpffs, -config, -help, -runtime, -state or -version",
			f.name)
	}
	return used, err
}

// absolutePath returns the path in a flag's value, which must be absolute, as hooks run in
// another directory.
func absolutePath(f option) (string, error) {
	if f.value == "" {
		return "", fmt.Errorf("flag --%s: %q: want a directory", f.name, f.value)
	}
	return filepath.Abs(f.value)
}

// readsByGetopt reports whether a runtime parses its flags by getopt_long(3), as do crun
// and krun, which is another name of it.
func readsByGetopt(runtime string) bool {
	name := filepath.Base(runtime)
	return strings.Contains(name, "crun") || strings.Contains(name, "krun")
}

// stateDir returns the directory of berth's state.
func (o *Options) stateDir() string {
	if o.State == "" {
		return defaultState
	}
	return o.State
}

// defaultState is the default in internal/config; a test compares them.
const defaultState = "/run/berth"

// hookArgs returns the arguments of berth-hook for a stage.
func (o *Options) hookArgs(stage string) []string {
	args := []string{program.Hook}
	for _, dir := range []struct{ flag, value string }{
		{"--config", o.Config}, {"--state", o.State}, {"--bpffs", o.BPFFS},
	} {
		if dir.value != "" {
			args = append(args, dir.flag, dir.value)
		}
	}
	return append(args, stage)
}
