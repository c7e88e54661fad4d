package install

import (
	"path/filepath"
	"slices"
	"strings"

	"berth/engine/cdi"
	"berth/engine/edit"
	"berth/internal/config"
	"berth/internal/engineversion"
)

// planCDI writes the networks as devices. Commands that create or remove a network update
// the file as long as this is installed.
func planCDI(p *planner) error {
	if err := p.writeDevices(); err != nil {
		return err
	}
	p.addNote("start containers with: --device %s=NETWORK (nerdctl from 2.1, podman, docker, ctr)", cdi.Kind)
	if v := p.engineVersion("dockerd"); v.Known() && !v.AtLeast(28, 3) {
		p.addNote("docker %s may read devices only with {\"features\": {\"cdi\": true}} in daemon.json", v.Text)
	}
	return nil
}

// planNerdctl adds berth's networks to those of nerdctl, and as CDI devices. nerdctl.toml can
// name neither a runtime nor annotations.
func planNerdctl(p *planner) error {
	if err := p.planNetworks(); err != nil {
		return err
	}
	if err := p.writeDevices(); err != nil {
		return err
	}
	p.addNote("each network of berth's is now one of nerdctl's: nerdctl run --net NETWORK …")
	program, err := p.o.programPath(runtimeProgram)
	if err != nil {
		return err
	}
	p.addNote("nerdctl.toml cannot name a runtime; for annotations, name it for each container:")
	p.addNote("nerdctl run --runtime %s --network none --annotation berth/networks=NETWORK …", ShellWord(program))
	v := p.engineVersion("nerdctl")
	if v.Known() && !v.AtLeast(2, 0) {
		p.addNote("nerdctl %s has no --annotation; it needs nerdctl 2.0 or newer", v.Text)
	}
	if v.Known() && !v.AtLeast(2, 1) {
		p.addNote("nerdctl %s does not support CDI devices; they need nerdctl 2.1 or newer", v.Text)
	} else {
		p.addNote("or nerdctl run --device %s=NETWORK --network none …", cdi.Kind)
	}
	return nil
}

func (p *planner) writeDevices() error {
	path, err := p.o.hookPath()
	if err != nil {
		return err
	}
	names, err := config.Names(p.o.configHome())
	if err != nil {
		return err
	}
	text, left, err := cdi.Generate(names, path, p.o.Dirs)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		p.addNote("networks without a device: %s; CDI requires names that end in a letter or digit", strings.Join(left, ", "))
	}
	if text == "" {
		p.addNote("there is no network yet; the first one creates the file")
	}
	p.noteDeviceDirs(filepath.Dir(p.devicesPath()))
	return p.writeOrNot(p.devicesPath(), text)
}

// noteDeviceDirs adds a note on each engine whose configuration names directories of devices without
// the one that is written. A file that cannot be read is no obstacle: the devices do not need it.
func (p *planner) noteDeviceDirs(dir string) {
	docker, _ := p.decodePlanned(p.o.sysPath(daemonJSON), edit.JSON)
	nerdctl, _ := p.decodePlanned(p.o.sysPath(nerdctlConfig), edit.TOML)
	var podman, containerd any
	if conf, err := p.readPodman(); err == nil {
		podman = conf.engine["cdi_spec_dirs"]
	}
	if c, err := p.readContainerd(engineversion.Version{}); err == nil {
		containerd = c.cri["cdi_spec_dirs"]
	}
	for _, e := range []struct {
		program, key string
		dirs         any
	}{
		{"dockerd", "cdi-spec-dirs", docker["cdi-spec-dirs"]}, {"nerdctl", "cdi_spec_dirs", nerdctl["cdi_spec_dirs"]},
		{"podman", "cdi_spec_dirs", podman}, {"containerd", "cdi_spec_dirs", containerd},
	} {
		dirs, isSet := e.dirs.([]any)
		reads := func(d any) bool {
			text, _ := d.(string)
			return text != "" && p.o.sysPath(text) == dir || text == dir || isAppend(d)
		}
		if isSet && p.o.lookPath(e.program) != "" && !slices.ContainsFunc(dirs, reads) {
			p.addNote("%s does not read devices in %s, because its configuration has %s = %v: add that directory, or give "+
				"--cdi-dir", e.program, dir, e.key, dirs)
		}
	}
}

func (p *planner) devicesPath() string {
	if p.o.CDIDir != "" {
		return filepath.Join(p.o.CDIDir, cdi.File)
	}
	return filepath.Join(p.o.sysPath(cdi.DefaultDir), cdi.File)
}

// writeOrNot plans a file that belongs to berth whole, also if it must not exist now.
func (p *planner) writeOrNot(path, text string) error {
	if text == "" {
		return p.putContent(path, nil)
	}
	return p.writeWhole(path, text, 0o644)
}
