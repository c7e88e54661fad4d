package install

import (
	"berth/engine/edit"
)

// handler is the engines' name for berth-runtime.
const handler = "berth"

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
	l := launchSpec{late: true}
	if name, _ := stringAt(values, "default-runtime"); name != "" && name != handler {
		if l.runtime, _ = stringAt(values, "runtimes", name, "path"); l.runtime == "" {
			l.runtime = p.o.lookPath(name)
		}
	}
	program, err := p.launcherPath(l)
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
