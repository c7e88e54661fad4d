package install

import (
	"fmt"

	"berth/engine/edit"
)

const daemonJSON = "/etc/docker/daemon.json"

// planDocker adds a runtime to daemon.json, and makes berth a driver of docker's networks.
// It sets no runtimeArgs, because dockerd turns them into a script that expands $@ unquoted.
//
// It attaches at start: dockerd 26.0, and from 28 on, creates its own network only after
// the runtime's create, and would add its routes after berth's.
func planDocker(p *planner) error {
	path := p.mainFile(daemonJSON)
	values, err := p.decodePlanned(path, edit.JSON)
	if err != nil {
		return err
	}
	program, err := p.dockerProgram(path, values)
	if err != nil {
		return err
	}
	if err := p.setValue(path, edit.JSON, []string{"runtimes", handler}, map[string]any{"path": program}); err != nil {
		return err
	}
	if p.o.Default {
		if err := p.setValue(path, edit.JSON, []string{"default-runtime"}, handler); err != nil {
			return err
		}
		p.addNote("existing containers keep their runtime")
	} else {
		p.addNote("start containers with: docker run --runtime %s --network none --annotation berth/networks=NETWORK …",
			handler)
	}
	if f, err := p.planFile(path, true); err != nil {
		return err
	} else if f.Changed() {
		p.plan.Restart = "systemctl reload docker"
	}
	v := p.engineVersion("dockerd")
	if v.Known() && !v.AtLeast(24, 0) {
		p.addNote("docker %s has no --annotation; it needs docker 24.0 or newer", v.Text)
	}
	return p.writeDriver(v)
}

// dockerProgram returns the path of the runtime's program. It refuses to replace a runtime of others, and
// an installation that the running dockerd does not read.
func (p *planner) dockerProgram(path string, values map[string]any) (string, error) {
	entry, _ := edit.Lookup(values, "runtimes", handler)
	named, _ := stringAt(values, "runtimes", handler, "path")
	if err := refuseForeign(path, entry, named); err != nil {
		return "", err
	}
	daemon := p.runningDocker()
	if err := daemon.checkFlags(p.o, path); err != nil {
		return "", err
	}
	l, err := p.dockerLauncher(values, daemon)
	if err != nil {
		return "", err
	}
	return p.launcherPath(l)
}

// dockerLauncher returns how berth-runtime runs docker's default runtime.
func (p *planner) dockerLauncher(values map[string]any, daemon *dockerd) (launchSpec, error) {
	l := launchSpec{late: true}
	name, _ := stringAt(values, "default-runtime")
	if name == "" {
		name = daemon.flags["default-runtime"]
	}
	if name == "" || name == handler {
		return l, nil
	}
	found, _ := edit.Lookup(values, "runtimes", name)
	entry, _ := found.(map[string]any)
	kind, _ := entry["runtimeType"].(string)
	l.runtime, _ = entry["path"].(string)
	args, _ := entry["runtimeArgs"].([]any)
	for _, arg := range args {
		if text, ok := arg.(string); ok {
			l.args = append(l.args, text)
		}
	}
	switch {
	case l.runtime != "":
	case kind == runcShim:
		l.runtime, _ = stringAt(entry, "options", "BinaryName")
	case kind != "" && p.o.Default:
		return l, errDefault(name, fmt.Sprintf("has the type %q", kind))
	case kind != "":
		p.addNote("berth's runtime runs runc or crun, not the default runtime %q, which has the type %q", name, kind)
	default:
		l.runtime = p.o.lookPath(name)
	}
	return l, nil
}

// mainFile returns the engine's own configuration file.
func (p *planner) mainFile(standard string) string {
	if p.o.File != "" {
		return p.o.File
	}
	return p.o.sysPath(standard)
}

// stringAt returns a string among values.
func stringAt(values map[string]any, path ...string) (string, bool) {
	value, _ := edit.Lookup(values, path...)
	s, ok := value.(string)
	return s, ok
}
