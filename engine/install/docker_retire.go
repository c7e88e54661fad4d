package install

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"berth/engine/edit"
	"berth/internal/regular"
)

// maxNamed is the maximum of containers that a note names.
const maxNamed = 5

// retireDocker plans the removal of the runtime from docker. A reload keeps runtimes and
// the default runtime that are no longer in daemon.json (reloadRuntimes in moby,
// daemon/reload.go), so a restart is necessary; and a container keeps the runtime with
// which it was created. Until dockerd is restarted, and as long as a container uses it, the
// program stays: without it, docker could neither start a container of that runtime nor
// execute a process in one.
func (p *planner) retireDocker(mine *record) error {
	users, err := p.dockerUsers()
	if err != nil {
		return err
	}
	if mine.Retired.IsZero() {
		p.plan.Restart = "systemctl restart docker"
	}
	if len(users) > 0 {
		p.addNote("containers with the runtime %q cannot start after a restart of docker: %s; create them again without "+
			"--runtime %[1]s",
			handler, listUsers(users))
	}
	p.noteDriver()
	if err := p.dropDockerDefault(); err != nil {
		return err
	}
	waiting := p.dockerSince(mine.Retired)
	if len(users) == 0 && !waiting {
		return nil
	}
	p.plan.retire(mine)
	for _, f := range p.plan.Files {
		i := slices.IndexFunc(mine.Files, func(r recordedFile) bool { return r.Path == f.Path && r.Format == "" })
		if i >= 0 && f.Disk != nil && !enablesDriver(f) {
			f.After = f.Disk
			p.plan.kept = append(p.plan.kept, mine.Files[i])
			p.addNote("docker still needs %s, so it stays; run berth uninstall --engine docker again later", f.Path)
		}
	}
	if waiting {
		p.addNote("systemctl reload docker is not enough, because it keeps runtimes that are no longer in daemon.json; " +
			"run systemctl restart docker")
	}
	return nil
}

// dropDockerDefault removes the default runtime if it is berth's, which is gone.
func (p *planner) dropDockerDefault() error {
	if p.runningDocker().flags["default-runtime"] == handler {
		p.addNote("dockerd runs with --default-runtime %s; remove that flag before you restart docker", handler)
	}
	path := p.mainFile(daemonJSON)
	values, err := p.decodePlanned(path, edit.JSON)
	if _, remains := edit.Lookup(values, "runtimes", handler); err != nil || remains {
		return err
	}
	return p.dropDefault([]string{path}, edit.JSON, "default-runtime")
}

func listUsers(users []string) string {
	text := strings.Join(users[:min(len(users), maxNamed)], ", ")
	if more := len(users) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// dockerSince reports whether a dockerd runs that was started before a time, or at any time
// if that is zero.
func (p *planner) dockerSince(since time.Time) bool {
	d := p.runningDocker()
	if d.pid == 0 { // its pid file may be elsewhere, or its process invisible
		conn, err := net.DialTimeout("unix", p.o.sysPath("/run/docker.sock"), time.Second)
		if err != nil {
			return false
		}
		_ = conn.Close() // an accepted connection is the whole test
	}
	return since.IsZero() || !d.started.IsZero() && d.started.Before(since)
}

// dockerUsers returns the names of the containers that use berth's runtime, from their
// files in docker's data directory; with userns-remap those are one directory deeper.
func (p *planner) dockerUsers() (users []string, err error) {
	values, err := p.decodePlanned(p.mainFile(daemonJSON), edit.JSON)
	if err != nil {
		return nil, err
	}
	data, _ := stringAt(values, "data-root")
	if flag := p.runningDocker().flags["data-root"]; flag != "" {
		data = flag
	}
	if data == "" {
		data = "/var/lib/docker"
	}
	for _, pattern := range []string{"containers/*/hostconfig.json", "*.*/containers/*/hostconfig.json"} {
		files, _ := filepath.Glob(filepath.Join(p.o.sysPath(data), pattern)) // the patterns are well formed
		for _, file := range files {
			var host struct{ Runtime string }
			err := readJSON(file, &host)
			if errors.Is(err, errNoJSON) { // written half when the host lost power; docker skips it too
				p.addNote("docker does not load the container of %v", err)
			} else if err != nil {
				return nil, err
			}
			if host.Runtime == handler {
				users = append(users, dockerName(filepath.Dir(file)))
			}
		}
	}
	slices.Sort(users)
	return users, nil
}

// dockerName returns the name of a container, or its ID.
func dockerName(dir string) string {
	var config struct{ Name string }
	if readJSON(filepath.Join(dir, "config.v2.json"), &config) == nil && config.Name != "" {
		return strings.TrimPrefix(config.Name, "/")
	}
	return filepath.Base(dir)
}

// errNoJSON is returned for a file that is no JSON.
var errNoJSON = errors.New("not JSON")

// readJSON decodes a file; a file deleted meanwhile counts as empty.
func readJSON(path string, into any) error {
	data, err := regular.Read(path, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if err = json.Unmarshal(data, into); err != nil {
			err = fmt.Errorf("%s: %w: %w", path, errNoJSON, err)
		}
	}
	return err
}
