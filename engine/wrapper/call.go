package wrapper

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
)

// A Call is a command line of an OCI runtime, as far as berth has to
// understand it.
type Call struct {
	Own     Options
	Runtime string   // path of the runtime that is to do the work
	Globals []string // the runtime's flags before its command, without berth's
	Command string   // "" where there is none, or nothing but help is asked for
	Rest    []string // all from the command on, as it was

	// Of the commands create, run, restore and start. What is given twice
	// counts as given last.
	ID     string
	Bundle string // "": the working directory
	Config string // crun's --config, which is not looked for in the bundle; "": config.json there

	Root      string // where the runtime keeps its containers; "": its default
	Log       string
	LogFormat string
}

// Args are the arguments of the runtime.
func (c *Call) Args() []string { return slices.Concat(c.Globals, c.Rest) }

// ConfigPath is the file that the runtime reads.
func (c *Call) ConfigPath() string {
	if c.Config != "" && c.Config != configName {
		return c.Config
	}
	return filepath.Join(c.Bundle, configName)
}

// configName is the file in a bundle (runtime-spec, bundle.md).
const configName = "config.json"

// Parse reads the arguments of a program of the name. Flags of berth's stand
// among the runtime's before its command. find returns the runtime for the one
// that --berth-runtime names, or for "". Where something is wrong there is an
// error, and the call is as complete as it can be, so that the error can go to
// the log that it names.
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

// handThrough stands for a command where a flag asks for help or the version,
// so that none is run.
const handThrough = "-"

// parseGlobals reads the flags before the command and returns the arguments
// from the command on.
func (c *Call) parseGlobals(args []string) (rest []string, wrong error) {
	for i := 0; i < len(args); i++ {
		f, isFlag := splitFlag(args[i])
		if !isFlag {
			return args[i:], wrong
		}
		if strings.HasPrefix(f.name, ownPrefix) {
			used, err := c.Own.set(f, args[i+1:])
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
		c.set(f)
	}
	return nil, wrong
}

// parseCommand reads what follows the command. Flags may stand behind the
// container's id: runc allows it. getopt says how the runtime reads flags of a
// single dash.
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
			f = cluster(args[i][1:])
		}
		f.name = fullName(commands, f.name)
		if f.takesNext(commands, args[i+1:]) {
			i++
			f.value = args[i]
		}
		c.set(f)
	}
}

func (c *Call) setID(id string) {
	if c.ID == "" {
		c.ID = id
	}
}

// set takes a flag's value over.
func (c *Call) set(f option) {
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
