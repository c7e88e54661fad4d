package wrapper

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// hookTimeout is after how many seconds the runtime kills the hook, whose own
// deadline is 20.
const hookTimeout = 30

// hookEnv is all that the hook has of an environment: without one, it would
// get the runtime's, and with it what an engine or an image put there.
var hookEnv = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}

// Main is berth-runtime. It returns only where it failed, or had no more to do
// than to print its version, with the status to exit with.
func Main(name string, args []string, version string) int {
	c, err := Parse(name, args, FindRuntime)
	if c.Own.Version {
		fmt.Println("berth-runtime", version)
		return 0
	}
	if err == nil {
		err = c.prepare()
	}
	if err == nil {
		err = c.become()
	}
	c.report(os.Stderr, err)
	return 1
}

// become replaces this process by the runtime: it has the same pid and
// descriptors, and the whole environment.
func (c *Call) become() error {
	err := syscall.Exec(c.Runtime, append([]string{c.Runtime}, c.Args()...), os.Environ())
	return fmt.Errorf("run %q: %w", c.Runtime, err)
}

// prepare does what is berth's, before the runtime does what it is told to.
func (c *Call) prepare() error {
	switch c.Command {
	case "create", "run", "restore":
		return c.prepareConfig()
	case "start":
		if c.Own.Attach == AtStart {
			return c.attachNow()
		}
	case "delete":
		if c.Own.Attach == AtStart && c.deletesForSure() {
			return c.note().remove()
		}
	}
	return nil
}

// deletesForSure says whether a delete takes the container away also if it
// never was started. Its id is the last argument.
func (c *Call) deletesForSure() bool {
	c.ID = c.Rest[len(c.Rest)-1]
	return slices.ContainsFunc(c.Rest, func(arg string) bool {
		return arg == "-f" || strings.TrimLeft(arg, "-") == "force"
	})
}

// prepareConfig adds berth's hooks to the container's config.json if it has
// one of berth's annotations.
func (c *Call) prepareConfig() error {
	late := c.Own.Attach == AtStart && c.Command == "create"
	if late {
		// Of another container that had the same id, and was never started.
		if err := c.note().remove(); err != nil {
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
	keys, s, err := file.annotated()
	if err != nil || s == nil || len(keys) == 0 && !late {
		return err
	}
	change, err := c.changeOf(s, len(keys) > 0, late)
	switch {
	case len(keys) == 0 && (err != nil || len(change.atStart) == 0):
		return nil // none of berth's, whatever else may be wrong with it
	case err != nil:
		return err
	case file.odd != "":
		return fmt.Errorf("it has %s, but %s", strings.Join(append(keys, change.names()...), ", "), file.odd)
	case len(change.atStart) > 0:
		if err := c.note().write(change.atStart); err != nil {
			return err
		}
	}
	if change.text == nil {
		return nil
	}
	return file.replace(change.text)
}

// A change is what becomes of a config.json.
type change struct {
	text    []byte // nil: it stays as it is
	atStart []hook // what is to be run when the container is started
}

// names are what berth has to do with, where no annotation says so.
func (c *change) names() (all []string) {
	for _, one := range c.atStart {
		all = append(all, "a hook "+one.Path)
	}
	return all
}

// changeOf decides what becomes of a config.json. A late attachment takes
// berth's hooks that are there already out, to run them at the start: those of
// a hooks.d folder or of CDI would attach too early.
func (c *Call) changeOf(s *spec, annotated, late bool) (*change, error) {
	h, err := s.hooks()
	if err != nil {
		return nil, err
	}
	there, takeOut, err := h.takeOut(s.text, prestart, createRuntime)
	if err != nil || len(there) == 0 && !annotated {
		return new(change), err
	}
	releases, err := h.has(s.text, poststop)
	if err != nil {
		return nil, err
	}
	program, err := findHook()
	if err != nil {
		return nil, err
	}
	var changed change
	var added []stagedHook
	switch {
	case late && len(there) > 0:
		changed.atStart = there
	case late:
		changed.atStart = []hook{c.hook(program, createRuntime)}
	case len(there) == 0:
		added = append(added, stagedHook{createRuntime, c.hook(program, createRuntime)})
	}
	if !late {
		takeOut = nil
	}
	if !releases {
		added = append(added, stagedHook{poststop, c.hook(program, poststop)})
	}
	if len(added)+len(takeOut) > 0 {
		changed.text, err = s.withHooks(h, added, takeOut)
	}
	return &changed, err
}

// hook is the entry of berth-hook in a stage.
func (c *Call) hook(program, stage string) hook {
	return hook{Path: program, Args: c.Own.hookArgs(stage), Env: hookEnv, Timeout: hookTimeout}
}

// annotated returns the keys of berth's annotations. A text that is not JSON is
// the runtime's to refuse, unless they could be in it.
func (c *configFile) annotated() (keys []string, s *spec, err error) {
	if len(c.text) == 0 {
		return nil, nil, nil
	}
	s, err = readSpec(c.text)
	if err == nil {
		keys, err = s.annotated()
	}
	switch {
	case err == nil:
		return keys, s, nil
	case !couldBeAnnotated(c.text):
		return nil, nil, nil
	case c.odd != "":
		return nil, nil, fmt.Errorf("it may have annotations of berth's, but %s", c.odd)
	}
	return nil, nil, fmt.Errorf("it may have annotations of berth's, but is not as JSON should be: %w", err)
}
