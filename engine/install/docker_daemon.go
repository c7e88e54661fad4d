package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"berth/internal/regular"
)

// dockerd is the running dockerd, as far as its pid file shows it.
type dockerd struct {
	pid     int       // 0 if none runs
	started time.Time // dockerd writes its pid file when it starts
	flags   map[string]string
}

// dockerFlags are dockerd's flags that matter here; -g is an old form of data-root.
var dockerFlags = map[string]string{"config-file": "config-file", "default-runtime": "default-runtime",
	"data-root": "data-root", "g": "data-root"}

func (p *planner) runningDocker() *dockerd {
	d := &dockerd{flags: make(map[string]string)}
	for _, name := range []string{"/run/docker.pid", "/var/run/docker.pid"} {
		path := p.o.sysPath(name)
		info, err := os.Stat(path)
		text, readErr := regular.Read(path, maxFile)
		pid, pidErr := strconv.Atoi(strings.TrimSpace(string(text)))
		if errors.Join(err, readErr, pidErr) == nil && pid > 0 && !errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			d.pid, d.started = pid, info.ModTime()
			d.readFlags(p.o.sysPath(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")))
			break
		}
	}
	return d
}

// readFlags reads the flags of a process that is a dockerd.
func (d *dockerd) readFlags(path string) {
	text, _ := regular.Read(path, maxFile) // of another user's process, or one that ended
	args := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
	if filepath.Base(args[0]) != "dockerd" {
		return
	}
	for i, arg := range args {
		flag, value, valued := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		name := dockerFlags[flag]
		if name == "" || !strings.HasPrefix(arg, "-") {
			continue
		}
		if !valued && i+1 < len(args) {
			value = args[i+1]
		}
		d.flags[name] = value
	}
}

// checkFlags refuses an installation that the running dockerd would not read, or that would keep it
// from starting: it accepts no key that is also one of its flags, except runtimes.
func (d *dockerd) checkFlags(o *Options, path string) error {
	file, name := d.flags["config-file"], d.flags["default-runtime"]
	switch {
	case file != "" && o.sysPath(file) != path && file != path:
		return fmt.Errorf("dockerd runs with --config-file %s; give --engine-config %[1]s", file)
	case o.Default && name != "":
		return fmt.Errorf("dockerd runs with --default-runtime %s, and does not start if %s has default-runtime too; remove "+
			"that flag, set it in %[2]s, and restart docker first", name, path)
	}
	return nil
}
