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
	}
	return nil
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
	if err != nil || len(keys) == 0 {
		return err
	}
	if file.odd != "" {
		return fmt.Errorf("it has %s, but %s", strings.Join(keys, ", "), file.odd)
	}
	h, err := s.hooks()
	if err != nil {
		return err
	}
	added, err := c.missing(s, h)
	if err != nil {
		return err
	}
	attaches := func(one stagedHook) bool { return one.stage == createRuntime }
	if late && slices.ContainsFunc(added, attaches) {
		added = slices.DeleteFunc(added, attaches)
		if err := c.note().write(); err != nil {
			return err
		}
	}
	if len(added) == 0 {
		return nil
	}
	text, err := s.withHooks(h, added)
	if err != nil {
		return err
	}
	return file.replace(text)
}

// missing are the entries of berth's that a config.json does not have yet.
func (c *Call) missing(s *spec, h hooks) (added []stagedHook, err error) {
	path, err := findHook()
	if err != nil {
		return nil, err
	}
	for _, one := range []struct {
		stage string
		are   []string
	}{
		{createRuntime, []string{createRuntime, prestart}},
		{poststop, []string{poststop}},
	} {
		has, err := h.has(s.text, one.are...)
		if err != nil {
			return nil, err
		}
		if !has {
			added = append(added, stagedHook{one.stage,
				hook{Path: path, Args: c.Own.hookArgs(one.stage), Env: hookEnv, Timeout: hookTimeout}})
		}
	}
	return added, nil
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
