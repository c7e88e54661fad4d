package install

import (
	"fmt"
	"path/filepath"
	"slices"

	"berth/engine/edit"
	"berth/engine/entry"
	"berth/internal/podmanconf"
)

const podmanDropIn = "/etc/containers/containers.conf.d/99-berth.conf"

// Podman's defaults (containers.conf(5), 4.3 to 5.6). The key that it reads is
// runtime_supports_nocgroup, although that page has another name.
const (
	supportsJSON     = "runtime_supports_json"
	supportsNoCgroup = "runtime_supports_nocgroup"
)

var (
	jsonRuntimes     = []string{"crun", "runc", "kata", "runsc", "youki", "krun"}
	nocgroupRuntimes = []string{"crun", "krun"}
)

// planPodman makes berth a driver of podman's networks, and writes a file of hooks.d, which
// serves every container with an annotation. It adds berth-runtime as a runtime that attaches
// at start: for user namespaces, whose network podman creates after the runtime's create. If
// it is the default runtime, it needs no hooks.d.
func planPodman(p *planner) error {
	conf, err := p.readPodman()
	if err != nil {
		return err
	}
	if err := p.writePlugin(conf.plugins.Dirs()); err != nil {
		return err
	}
	if p.o.Default {
		p.addNote("berth-runtime becomes the runtime of every container, and adds berth's hook")
	} else {
		if err := p.writeHooks(conf.hooks.Dirs()); err != nil {
			return err
		}
		p.addNote("start containers with: podman run --network none --annotation berth/networks=NETWORK …")
		p.addNote("with a user namespace and podman's own network too: podman --runtime %s run …", handler)
	}
	if v := p.engineVersion("podman"); v.Known() && !v.AtLeast(5, 0) {
		p.addNote("podman %s reads --annotation as CSV: quote a value that has commas, --annotation "+
			"'\"berth/networks=lan,lab\"'", v.Text)
	}
	return p.podmanRuntime(conf)
}

// podmanValues are the settings of podman's files that matter, merged.
type podmanValues struct {
	engine  map[string]any // the table [engine]
	hooks   podmanconf.HooksDirs
	plugins podmanconf.PluginDirs

	json, nocgroup podmanconf.Names // runtimes with these features

	networks string // network_config_dir, or "" for the default directory
}

func (p *planner) readPodman() (*podmanValues, error) {
	all := &podmanValues{json: podmanconf.Names{Standard: jsonRuntimes},
		nocgroup: podmanconf.Names{Standard: nocgroupRuntimes}}
	files, err := p.confFiles()
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		values, err := p.decodePlanned(path, edit.TOML)
		if err == nil {
			err = all.add(values)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return all, nil
}

// add merges the values of a further file.
func (all *podmanValues) add(values map[string]any) error {
	table, _ := values["engine"].(map[string]any)
	all.engine = mergeTables(all.engine, table)
	for key, names := range map[string]*podmanconf.Names{supportsJSON: &all.json, supportsNoCgroup: &all.nocgroup} {
		if value, ok := table[key]; ok {
			if err := names.Read("engine."+key, value); err != nil {
				return err
			}
		}
	}
	if value, ok := table["hooks_dir"]; ok {
		if err := all.hooks.Read(value); err != nil {
			return err
		}
	}
	table, _ = values["network"].(map[string]any)
	if dir, ok := table["network_config_dir"].(string); ok {
		all.networks = dir
	}
	if value, ok := table["netavark_plugin_dirs"]; ok {
		return all.plugins.Read(value)
	}
	return nil
}

// writePlugin makes berth a driver of podman's networks. netavark finds the plugin by the
// driver's name in the first of its directories that has such a file.
func (p *planner) writePlugin(dirs []string) error {
	v := p.engineVersion("podman")
	switch {
	case v.Known() && !v.AtLeast(4, 5):
		p.addNote("podman %s has no plugins for networks; podman 4.5 with netavark 1.6 is the first that has", v.Text)
		return nil
	case len(dirs) == 0:
		p.addNote("no network of podman can have berth as its driver, because netavark_plugin_dirs in containers.conf is " +
			"empty")
		return nil
	}
	program, err := p.o.programPath(netavarkProgram)
	if err != nil {
		return err
	}
	path := filepath.Join(p.o.sysPath(dirs[0]), handler)
	if args := entry.Flags("--", p.o.Dirs); len(args) > 0 {
		err = p.writeScript(path, program, args)
	} else {
		err = p.planLink(path, program)
	}
	p.addNote("a network of podman's on one of berth's: podman network create --driver %s --opt network=NETWORK NAME",
		handler)
	p.addNote("containers on it: podman run --network NAME …")
	return err
}

func (p *planner) confFiles() (files []string, err error) {
	for _, pattern := range podmanconf.Files {
		found, _ := filepath.Glob(p.o.sysPath(pattern)) // the patterns are well formed
		files = append(files, found...)
	}
	if p.o.File != "" && !slices.Contains(files, p.o.File) {
		files = append(files, p.o.File)
	}
	return files, nil
}

func (p *planner) podmanRuntime(conf *podmanValues) error {
	if err := refusePodman(conf.engine); err != nil {
		return err
	}
	l := launchSpec{late: true, runtime: p.podmanLow(conf.engine)}
	if name, _ := conf.engine["runtime"].(string); p.o.Default && name != "" && name != handler && l.runtime == "" {
		return errDefault(name, "was not found")
	}
	program, err := p.launcherPath(l)
	if err != nil {
		return err
	}
	path := p.mainFile(podmanDropIn)
	set := func(value any, key ...string) {
		if err == nil {
			err = p.setValue(path, edit.TOML, append([]string{"engine"}, key...), value)
		}
	}
	set([]string{program}, "runtimes", handler)
	set(conf.json.With(handler), supportsJSON)
	if filepath.Base(l.runtime) == "crun" {
		set(conf.nocgroup.With(handler), supportsNoCgroup)
	}
	if err == nil && p.o.Default {
		err = p.setDefault(path, "engine", "runtime")
	}
	if err == nil {
		err = p.notePodmanLists(path)
	}
	return err
}

// podmanLow returns the path of the runtime that podman would use.
func (p *planner) podmanLow(engine map[string]any) string {
	name, _ := engine["runtime"].(string)
	if name == "" || name == handler {
		name = "crun" // podman's own choice, if installed
	}
	if filepath.IsAbs(name) {
		return name
	}
	paths, _ := edit.Lookup(engine, "runtimes", name)
	list, _ := paths.([]any)
	for _, path := range list {
		if path, ok := path.(string); ok && p.o.programExists(path) {
			return path
		}
	}
	return p.o.lookPath(name)
}

// notePodmanLists adds a note on each file that podman reads later and that replaces a list of runtimes.
func (p *planner) notePodmanLists(path string) error {
	files, err := p.confFiles()
	for _, key := range []string{supportsJSON, supportsNoCgroup} {
		if err == nil {
			err = p.noteLater(files, path, "engine."+key, func(value any) bool {
				list, _ := value.([]any)
				return !slices.ContainsFunc(list, func(m any) bool { return isAppend(m) || m == handler })
			})
		}
	}
	return err
}

// isAppend reports whether a member of a list makes podman append the list to those before it.
func isAppend(member any) bool {
	table, _ := member.(map[string]any)
	return table["append"] == true
}

// refusePodman refuses to replace a runtime of others that is named like berth's.
func refusePodman(engine map[string]any) error {
	entry, _ := edit.Lookup(engine, "runtimes", handler)
	program := ""
	if list, _ := entry.([]any); len(list) > 0 {
		program, _ = list[0].(string)
	}
	return refuseForeign("podman", entry, program)
}
