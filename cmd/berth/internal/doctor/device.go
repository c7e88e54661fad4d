package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"berth/check"
	"berth/engine/cdi"
	"berth/engine/entry"
)

// deviceDir is CDI's directory of devices that need not outlive the host's run. All engines that
// find devices read it, unless their configuration names other directories.
const deviceDir = "/var/run/cdi"

// tryDevice reports whether an engine finds a device of CDI and runs its hook. The device is a new
// one, of a network that does not exist. Containers need no device, so a failure is a warning.
func (t *trial) tryDevice(ctx context.Context, e engine, run startFunc) check.Line {
	const name = "devices"
	remove, err := t.writeDevice()
	if err != nil {
		return newLine(e.name, name, check.Warn, "make the directory writable", "not tried: %v", err)
	}
	out, err := run(ctx, byDevice)
	removeErr := remove()
	log, where := t.hookLog()
	l := newLine(e.name, name, check.Warn, e.devices, "the engine finds no device of CDI in %s: %s", deviceDir,
		errorText(out, err))
	switch {
	case t.refuses(out.stderr):
		l = newLine(e.name, name, check.Pass, "", "devices work, and the engine shows berth-hook's errors")
	case t.refuses(log):
		l = newLine(e.name, name, check.Pass, "", "devices work; berth-hook's errors are only in %s", where)
	case err == nil:
		l = newLine(e.name, name, check.Fail, "use runc or crun as the runtime",
			"the engine started a container with a device of berth, but without berth-hook")
	}
	return errorLine(l, removeErr)
}

// writeDevice writes the trial's device, and returns a function that removes it.
func (t *trial) writeDevice() (remove func() error, err error) {
	text, _, err := cdi.Generate([]string{t.id}, filepath.Join(t.Bin, entry.Program), t.Dirs)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(t.Root, deviceDir)
	_, statErr := os.Stat(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, t.id+".json")
	remove = func() error {
		err := os.Remove(path)
		if statErr != nil { // the directory is the trial's too
			_ = os.Remove(dir) // it stays if another device has come
		}
		return err
	}
	return remove, os.WriteFile(path, []byte(text), 0o644)
}

// refuses reports whether a text has the hook's refusal of the trial's network.
func (t *trial) refuses(text string) bool {
	return strings.Contains(text, t.id) && strings.Contains(text, unknownNetwork)
}

// hookLog returns the text and the path of the hook's log. The text is "" if the hook did not run.
func (t *trial) hookLog() (text, path string) {
	path = filepath.Join(t.Dirs.State, "state", "hook.log")
	data, _ := os.ReadFile(path) // if there is none, the hook did not run
	return string(data), path
}

// errorText returns the end of an engine's standard error if it failed.
func errorText(out output, err error) string {
	if err == nil {
		return ""
	}
	return lastLines(out, err)
}
