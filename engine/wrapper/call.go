package wrapper

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// A Call is the part of an OCI runtime's command line that berth uses.
type Call struct {
	Own     Options
	Runtime string   // path of the runtime to execute
	Globals []string // the runtime's flags before its command, without berth's
	Command string   // "" if there is none, or only help is requested
	Rest    []string // all from the command on, unchanged

	// Of the commands create, run, restore and start. If a flag is repeated, the last one
	// counts.
	ID     string
	Bundle string // "" for the working directory
	Config string // crun's --config, which is not relative to the bundle; "" for config.json there

	Root      string // the runtime's directory of containers; "" for its default
	Log       string
	LogFormat string
}

// Args returns the arguments of the runtime.
func (c *Call) Args() []string { return slices.Concat(c.Globals, c.Rest) }

// ConfigPath returns the file that the runtime reads.
func (c *Call) ConfigPath() string {
	if c.Config != "" && c.Config != configName {
		return c.Config
	}
	return filepath.Join(c.Bundle, configName)
}

// configName is the file in a bundle (runtime-spec, bundle.md).
const configName = "config.json"

// Parse parses the arguments of a program of the name. Berth's flags stand among the
// runtime's before its command. find returns the path of the runtime that --berth-runtime
// names, or of the default one if it gets "". On error Parse also returns the call parsed
// so far, so that the error can be written to the log file named on the command line.
func Parse(name string, args []string, find func(named string) (string, error)) (*Call, error) {
	c := &Call{Own: optionsOf(name)}
	rest, wrong := c.parseGlobals(args)
	runtime, err := find(c.Own.Runtime)
	c.Runtime = runtime
	if len(rest) > 0 {
		c.Rest = slices.Clone(rest)
		if c.Command == "" {
			c.Command = rest[0]
		}
		c.parseCommand(rest[1:], readsByGetopt(runtime))
	}
	if c.Command == handThrough {
		c.Command = ""
	}
	return c, errors.Join(wrong, err)
}

// handThrough replaces the command if a flag requests help or the version, so that none is
// processed.
const handThrough = "-"

// parseGlobals parses the flags before the command and returns the arguments from the
// command on.
func (c *Call) parseGlobals(args []string) (rest []string, wrong error) {
	for i := 0; i < len(args); i++ {
		f, isFlag := splitFlag(args[i])
		if !isFlag {
			return args[i:], wrong
		}
		if strings.HasPrefix(f.name, ownPrefix) {
			used, err := c.Own.setOption(f, args[i+1:])
			wrong = errors.Join(wrong, err)
			i += used
			continue
		}
		c.Globals = append(c.Globals, args[i])
		if f.name == "" { // --
			return args[i+1:], wrong
		}
		f.name = fullName(globals, f.name)
		if f.takesNext(globals, args[i+1:]) {
			i++
			f.value = args[i]
			c.Globals = append(c.Globals, f.value)
		}
		c.setFlag(f)
	}
	return nil, wrong
}

// parseCommand parses the arguments after the command. Flags may follow the container's ID,
// as runc allows it. If getopt is set, the runtime parses flags of a single dash as
// getopt(3).
func (c *Call) parseCommand(args []string, getopt bool) {
	for i := 0; i < len(args); i++ {
		f, isFlag := splitFlag(args[i])
		switch {
		case !isFlag:
			c.setID(args[i])
			continue
		case f.name == "": // --
			if i+1 < len(args) {
				c.setID(args[i+1])
			}
			return
		case getopt && !strings.HasPrefix(args[i], "--"):
			f = parseCluster(args[i][1:])
		}
		f.name = fullName(commands(), f.name)
		if f.takesNext(commands(), args[i+1:]) {
			i++
			f.value = args[i]
		}
		c.setFlag(f)
	}
}

func (c *Call) setID(id string) {
	if c.ID == "" {
		c.ID = id
	}
}

// setFlag stores a flag's value.
func (c *Call) setFlag(f option) {
	switch f.name {
	case "root":
		c.Root = f.value
	case "log":
		c.Log = f.value
	case "log-format":
		c.LogFormat = f.value
	case "bundle", "b":
		c.Bundle = f.value
	case "config", "f":
		c.Config = f.value
	case "help", "h", "?", "usage", "version", "v", "V":
		if !f.valued {
			c.Command = handThrough
		}
	}
}
