package install

import (
	"errors"
	"path/filepath"

	"berth/engine/edit"
	"berth/engine/entry"
	"berth/internal/engineversion"
)

// nriPlugin is berth's name among the runtime's plugins, which start in the order of their
// names.
const nriPlugin = "10-berth"

const nriPluginDir = "/opt/nri/plugins"

// planNRI puts berth-nri into the directory from which the runtime starts its plugins, and
// enables NRI if it is disabled.
func planNRI(p *planner) error {
	program, err := p.o.programPath(nriProgram)
	if err != nil {
		return err
	}
	if len(entry.Flags("--", p.o.Dirs)) > 0 {
		return errors.New("a runtime starts its plugins without flags; run berth-nri as a service, with --config, --state " +
			"and --bpffs")
	}
	isCRIO := p.o.lookPath("crio") != ""
	isContainerd := p.o.lookPath("containerd") != ""
	dir := ""
	switch {
	case isContainerd && (!isCRIO || p.o.File == "" || filepath.Ext(p.o.File) == ".toml"):
		dir, err = p.nriContainerd()
	case isCRIO:
		dir, err = p.nriCRIO()
	default:
		return errors.New("neither containerd nor CRI-O was found; install one first")
	}
	if err != nil {
		return err
	}
	p.addNote("the runtime starts berth-nri as its plugin %s; every pod with an annotation of berth's is attached",
		nriPlugin)
	p.addNote("do not also run berth-nri.service or a DaemonSet with berth-nri")
	return p.planLink(filepath.Join(p.o.sysPath(dir), nriPlugin), program)
}

// nriContainerd returns the directory of plugins. NRI is in containerd from 1.7, disabled
// by default, and enabled from 2.0.
func (p *planner) nriContainerd() (string, error) {
	v := p.engineVersion("containerd")
	if v.Known() && !v.AtLeast(1, 7) {
		return "", errTooOld("containerd", v, "1.7")
	}
	c, err := p.readContainerd(v)
	if err != nil {
		return "", err
	}
	p.plan.Restart = "systemctl restart containerd"
	if v.KeepsRefused() {
		p.addNote("containerd %s keeps the sandbox of each pod that a plugin refuses, so berth-nri refuses the pod's "+
			"containers instead; containerd 2.2.6, 2.3.3 and newer do not need that", v.Text)
	}
	table, last, err := p.readNRI(c, v)
	if err != nil {
		return "", err
	}
	path := p.containerdTarget(c, v)
	if last != "" && !v.AtLeast(2, 0) {
		path = last
	}
	disabled, isSet := table["disable"]
	if disabled == true || !isSet && !v.AtLeast(2, 0) {
		if err := p.versionOf(path, c); err != nil {
			return "", err
		}
		if err := p.setValue(path, edit.TOML, []string{"plugins", nriTable, "disable"}, false); err != nil {
			return "", err
		}
	}
	if dir, _ := table["plugin_path"].(string); dir != "" {
		return dir, nil
	}
	return nriPluginDir, nil
}

// nriTable is the name of NRI's table in containerd's configuration.
const nriTable = "io.containerd.nri.v1.nri"

// readNRI returns NRI's table over all of containerd's files, and the last file that has it: from 2.0
// they are merged, and before that the last one replaces the others.
func (p *planner) readNRI(c *containerdFiles, v engineversion.Version) (merged map[string]any, last string, err error) {
	for _, path := range c.files {
		values, err := p.decodePlanned(path, edit.TOML)
		if err != nil {
			return nil, "", err
		}
		found, _ := edit.Lookup(values, "plugins", nriTable)
		table, ok := found.(map[string]any)
		if !ok {
			continue
		}
		if last = path; v.AtLeast(2, 0) {
			table = mergeTables(merged, table)
		}
		merged = table
	}
	return merged, last, nil
}

// nriCRIO returns the directory of plugins. NRI is in CRI-O from 1.26, and enabled from 1.30.
func (p *planner) nriCRIO() (string, error) {
	v := p.engineVersion("crio")
	if v.Known() && !v.AtLeast(1, 26) {
		return "", errTooOld("CRI-O", v, "1.26")
	}
	p.plan.Restart = "systemctl restart crio"
	if err := p.setValue(p.mainFile(crioDropIn), edit.TOML, []string{"crio", "nri", "enable_nri"}, true); err != nil {
		return "", err
	}
	dir := nriPluginDir
	for _, path := range p.crioFiles() {
		values, err := p.decodePlanned(path, edit.TOML)
		if err != nil {
			return "", err
		}
		if named, _ := stringAt(values, "crio", "nri", "nri_plugin_dir"); named != "" {
			dir = named
		}
	}
	return dir, nil
}
