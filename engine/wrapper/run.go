package wrapper

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"berth/engine/program"
)

// hookTimeout is the time in seconds after which the runtime kills the hook, whose own
// deadline is 20.
const hookTimeout = 30

// hookEnv is the hook's whole environment: without one, it would inherit the runtime's,
// with variables from an engine or an image.
var hookEnv = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=1"}

// Main runs berth-runtime. It returns, with the exit status, only if it failed or just
// printed its help or its version.
func Main(name string, args []string, version string) int {
	c, err := Parse(name, args, FindRuntime)
	switch {
	case c.Own.Help:
		fmt.Print(usage)
		return 0
	case c.Own.Version:
		fmt.Println("berth-runtime", version)
		return 0
	}
	if err == nil {
		err = c.prepareCommand()
	}
	if err == nil {
		err = c.execRuntime()
	}
	c.reportError(os.Stderr, err)
	return 1
}

// execRuntime executes the runtime in place of this process, which keeps its pid, its
// descriptors and the whole environment.
func (c *Call) execRuntime() error {
	err := syscall.Exec(c.Runtime, append([]string{c.Runtime}, c.Args()...), os.Environ())
	return fmt.Errorf("run %q: %w", c.Runtime, err)
}

// prepareCommand does berth's part, before the runtime executes the command.
func (c *Call) prepareCommand() error {
	switch c.Command {
	case "create", "run", "restore":
		return c.prepareConfig()
	case "start":
		if c.Own.Attach == AtStart {
			return c.attachNow()
		}
	case "delete":
		if c.Own.Attach == AtStart && c.deletesForSure() {
			return c.newNote().removeFile()
		}
	}
	return nil
}

// deletesForSure reports whether a delete removes the container even if it was never
// started. Its ID is the last argument.
func (c *Call) deletesForSure() bool {
	c.ID = c.Rest[len(c.Rest)-1]
	return slices.ContainsFunc(c.Rest, func(arg string) bool {
		return arg == "-f" || strings.TrimLeft(arg, "-") == "force"
	})
}

// prepareConfig adds berth's hooks to the container's config.json if it has one of berth's
// annotations.
func (c *Call) prepareConfig() error {
	late := c.Own.Attach == AtStart && c.Command == "create"
	if late {
		// The note of another container that had the same ID, and was never started.
		if err := c.newNote().removeFile(); err != nil {
			return err
		}
	}
	path, err := filepath.Abs(c.ConfigPath())
	if err != nil {
		return fmt.Errorf("find %s: %w", configName, err)
	}
	file, err := readConfig(path)
	if file == nil || err != nil {
		return err
	}
	if err := c.addHooks(file, late); err != nil {
		return fmt.Errorf("add berth's hooks to %q: %w", file.path, err)
	}
	return nil
}

func (c *Call) addHooks(file *configFile, late bool) error {
	keys, s, err := file.annotatedKeys()
	if err != nil || s == nil || len(keys) == 0 && !late {
		return err
	}
	change, err := c.changeOf(s, len(keys) > 0, late)
	switch {
	case len(keys) == 0 && (err != nil || len(change.atStart) == 0):
		return nil // without berth's annotations, other faults do not matter
	case err != nil:
		return err
	case file.odd != "":
		return fmt.Errorf("it has %s, and %s", strings.Join(append(keys, change.names()...), ", "), file.odd)
	case len(change.atStart) > 0:
		if err := c.newNote().writeHooks(change.atStart); err != nil {
			return err
		}
	}
	if change.text != nil {
		if err := file.replaceFile(change.text); err != nil {
			return err
		}
	}
	if len(keys) > 0 {
		c.startProber(file.path)
	}
	return nil
}

// A configChange is the planned change of a config.json.
type configChange struct {
	text    []byte // nil if unchanged
	atStart []hook // hooks to run when the container is started
}

// names returns the hooks' names, used if there is no annotation.
func (c *configChange) names() (all []string) {
	for _, one := range c.atStart {
		all = append(all, "a hook "+one.Path)
	}
	return all
}

// changeOf plans the change of a config.json. A late attachment removes berth's hooks that
// are there already, to run them at the start: those of a hooks.d directory or of CDI would
// attach too early.
func (c *Call) changeOf(s *spec, annotated, late bool) (*configChange, error) {
	h, err := s.stageHooks()
	if err != nil {
		return nil, err
	}
	there, takeOut, err := h.takeOut(s.text, prestart, createRuntime)
	if err != nil || len(there) == 0 && !annotated {
		return new(configChange), err
	}
	releases, err := h.hasBerth(s.text, poststop)
	if err != nil {
		return nil, err
	}
	path, err := findHook()
	if err != nil {
		return nil, err
	}
	path = program.Beside(path)
	var changed configChange
	var added []stagedHook
	switch {
	case late && len(there) > 0:
		changed.atStart = there
	case late:
		changed.atStart = []hook{c.hookEntry(path, createRuntime)}
	case len(there) == 0:
		added = append(added, stagedHook{createRuntime, c.hookEntry(path, createRuntime)})
	}
	if !late {
		takeOut = nil
	}
	if !releases {
		added = append(added, stagedHook{poststop, c.hookEntry(path, poststop)})
	}
	if len(added)+len(takeOut) > 0 {
		changed.text, err = s.withHooks(h, added, takeOut)
	}
	return &changed, err
}

// hookEntry returns the entry of berth-hook or its client in a stage.
func (c *Call) hookEntry(path, stage string) hook {
	return hook{Path: path, Args: c.Own.hookArgs(stage), Env: hookEnv, Timeout: hookTimeout}
}

// annotatedKeys returns the keys of berth's annotations. The runtime reports a text that is not
// JSON, unless it could contain them.
func (c *configFile) annotatedKeys() (keys []string, s *spec, err error) {
	if len(c.text) == 0 {
		return nil, nil, nil
	}
	s, err = readSpec(c.text)
	if err == nil {
		keys, err = s.annotationKeys()
	}
	switch {
	case err == nil:
		return keys, s, nil
	case !couldBeAnnotated(c.text):
		return nil, nil, nil
	case c.odd != "":
		return nil, nil, fmt.Errorf("it may have annotations of berth's, and %s", c.odd)
	}
	return nil, nil, fmt.Errorf("it may have annotations of berth's, and it is not valid JSON: %w", err)
}
