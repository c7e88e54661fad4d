package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/check"
	"berth/engine/cdi"
	"berth/engine/install"
	"berth/engine/program"
)

// deviceDir is CDI's directory of devices that need not outlive the host's run. All engines that
// find devices read it, unless their configuration names other directories.
const deviceDir = "/var/run/cdi"

// tryDevice reports whether an engine finds a device of CDI and runs its hook. The device is a new
// one, of a network that does not exist. Containers need no device, so a failure is a warning.
func (t *trial) tryDevice(ctx context.Context, e engine, run startFunc) check.Line {
	const name = "devices"
	remove, err := t.writeDevice(ctx)
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

// takesDevices reports whether a failure with a device would be news: ctr before containerd 2 takes
// paths of devices only.
func (t *trial) takesDevices(e engine) bool {
	if e.name != install.Containerd {
		return true
	}
	v, err := t.askVersion(e)
	return err == nil && v.AtLeast(2, 0)
}

// writeDevice writes the trial's device, and returns a function that removes it. Until then no other
// process tries a device.
func (t *trial) writeDevice(ctx context.Context) (remove func() error, err error) {
	text, _, err := cdi.Generate([]string{t.id}, program.Beside(filepath.Join(t.Bin, program.Hook)), t.Dirs)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(t.Root, deviceDir)
	lock, err := lockParent(ctx, dir)
	if err != nil {
		return nil, err
	}
	_, statErr := os.Stat(dir)
	path := filepath.Join(dir, t.id+".json")
	remove = func() error {
		defer lock.Close()
		err := os.Remove(path)
		if statErr != nil { // the directory is the trial's too
			_ = os.Remove(dir) // it stays if another device has come
		}
		return err
	}
	err = os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		_ = remove() // it may not exist
		return nil, err
	}
	return remove, nil
}

// lockParent locks the directory in which a directory is or will be, until the file is closed. Two
// trials at once would share the devices' directory, and the first one would remove it.
func lockParent(ctx context.Context, dir string) (*os.File, error) {
	parent := filepath.Dir(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, err
	}
	f, err := os.Open(parent)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %q: %w", parent, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("another process has locked %q, perhaps another berth doctor --try", parent),
				f.Close())
		case <-time.After(lockRetry):
		}
	}
}

// lockRetry is the time between two attempts to lock.
const lockRetry = 20 * time.Millisecond

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
