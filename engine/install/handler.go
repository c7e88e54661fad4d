package install

import (
	"fmt"
	"path/filepath"
	"strings"

	"berth/engine/edit"
)

// handler is the engines' name for berth-runtime.
const handler = "berth"

// refuseForeign refuses to replace a runtime named like berth's that runs another program: containers
// of an administrator use it, and an entry of two kinds can keep the engine from starting.
func refuseForeign(engine string, entry any, program string) error {
	if entry == nil || strings.HasPrefix(filepath.Base(program), runtimeProgram) {
		return nil
	}
	runs := "without a program"
	if program != "" {
		runs = fmt.Sprintf("with the program %q", program)
	}
	return fmt.Errorf("%s already has a runtime %q %s, which is not berth's; give it another name first", engine, handler,
		runs)
}

// errDefault returns the error for a default runtime that berth-runtime cannot execute in its place.
// Without it, the containers would silently lose the isolation of that runtime.
func errDefault(name, why string) error {
	return fmt.Errorf("--default: the present default runtime %q %s, so berth-runtime cannot execute it; install without "+
		"--default", name, why)
}

// dropDefault removes a default that names berth's handler from configuration files after the handler
// is gone: no engine starts with a default runtime that it does not have.
func (p *planner) dropDefault(paths []string, format edit.Format, key ...string) error {
	for _, path := range paths {
		values, err := p.decodePlanned(path, format)
		if err != nil {
			return err
		}
		if name, _ := stringAt(values, key...); name != handler {
			continue
		}
		f, err := p.planFile(path, true)
		if err != nil {
			return err
		}
		text, err := format.Undo(f.After.Text, edit.Change{Path: key})
		if err != nil { // in an inline table
			p.addNote("%s: %v; remove %s = %q by hand, because the engine does not start with it", f.Path, err,
				strings.Join(key, "."), handler)
			continue
		}
		after := *f.After
		after.Text = text
		f.After, f.Format = &after, format
		if f.created && isEmpty(format, text) {
			f.After = nil
		}
		p.addNote("%s: %s = %q, set since the installation, is removed too, because no container starts with a default "+
			"runtime that is gone", f.Path, strings.Join(key, "."), handler)
	}
	return nil
}
