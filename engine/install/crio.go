package install

import (
	"path/filepath"
	"slices"

	"berth/engine/edit"
	"berth/internal/podmanconf"
)

// crioConf are CRI-O's files, each merged over those before it (crio.conf(5)).
var crioConf = []string{"/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*"}

const crioDropIn = "/etc/crio/crio.conf.d/99-berth.conf"

// planCRIO writes a file of hooks.d, which serves every pod with annotations of berth's,
// and a runtime handler for pods with runtimeClassName berth. If it is the default runtime,
// it needs no hooks.d. CRI-O passes all annotations of a pod to its hooks;
// allowed_annotations lists those of its own experiments, and an unknown one in it keeps
// CRI-O from starting.
func planCRIO(p *planner) error {
	runtime, err := p.crioRuntime()
	if err != nil {
		return err
	}
	if !p.o.Default {
		if err := p.writeHooks(crioHooksDirs(runtime["hooks_dir"])); err != nil {
			return err
		}
		p.addNote("every pod with an annotation of berth's is attached; a RuntimeClass can name the runtime handler %q",
			handler)
	}
	name, source := crioSource(runtime)
	if err := checkCRIO(runtime, p.o.Default, name); err != nil {
		return err
	}
	if p.o.Default {
		p.addNote("pods without a runtimeClassName get the handler, a copy of the runtime %q", name)
	}
	low, _ := source["runtime_path"].(string)
	if low == "" {
		low = p.o.lookPath(name)
	}
	program, err := p.launcherPath(launchSpec{runtime: low})
	if err != nil {
		return err
	}
	table := crioTable(source, program)
	path := p.mainFile(crioDropIn)
	p.plan.Restart = "systemctl restart crio"
	err = p.setValue(path, edit.TOML, []string{"crio", "runtime", "runtimes", handler}, table)
	if err == nil && p.o.Default {
		err = p.setDefault(path, "crio", "runtime", "default_runtime")
	}
	return err
}

// crioHooksDirs returns the directories of hooks.d that CRI-O reads.
func crioHooksDirs(value any) (dirs []string) {
	list, _ := value.([]any)
	for _, item := range list {
		if dir, ok := item.(string); ok {
			dirs = append(dirs, dir)
		}
	}
	if len(dirs) == 0 {
		return []string{podmanconf.UsrHooksDir, podmanconf.EtcHooksDir}
	}
	return dirs
}

// crioFiles returns the paths of CRI-O's files in the order in which it reads them; the
// one that the user named comes last.
func (p *planner) crioFiles() (files []string) {
	for _, pattern := range crioConf {
		found, _ := filepath.Glob(p.o.sysPath(pattern)) // the patterns are well formed
		files = append(files, found...)
	}
	if p.o.File != "" && !slices.Contains(files, p.o.File) {
		files = append(files, p.o.File)
	}
	return files
}

// crioRuntime returns the table [crio.runtime], merged from CRI-O's files: each runtime's
// table replaces an earlier one whole.
func (p *planner) crioRuntime() (map[string]any, error) {
	runtime, runtimes := make(map[string]any), make(map[string]any)
	for _, path := range p.crioFiles() {
		values, err := p.decodePlanned(path, edit.TOML)
		if err != nil {
			return nil, err
		}
		table, _ := edit.Lookup(values, "crio", "runtime")
		below, _ := table.(map[string]any)
		for key, value := range below {
			runtime[key] = value
		}
		all, _ := below["runtimes"].(map[string]any)
		for name, one := range all {
			runtimes[name] = one
		}
	}
	runtime["runtimes"] = runtimes
	return runtime, nil
}

// crioTable returns berth's runtime handler: a copy of another that runs a program.
func crioTable(source map[string]any, program string) map[string]any {
	table := map[string]any{"runtime_type": "oci"}
	for key, value := range source {
		if key != "inherit_default_runtime" && key != "platform_runtime_paths" {
			table[key] = value
		}
	}
	table["runtime_path"] = program
	return table
}

// checkCRIO refuses to replace a handler of others, and a default runtime that is no OCI runtime.
func checkCRIO(runtime map[string]any, makeDefault bool, source string) error {
	entry, _ := edit.Lookup(runtime, "runtimes", handler)
	named, _ := stringAt(runtime, "runtimes", handler, "runtime_path")
	if err := refuseForeign("CRI-O", entry, named); err != nil {
		return err
	}
	if name, _ := stringAt(runtime, "default_runtime"); makeDefault && name != "" && name != handler && name != source {
		return errDefault(name, "is no OCI runtime")
	}
	return nil
}

// leaveCRIO removes a default that names berth's handler if the handler is gone.
func (p *planner) leaveCRIO() error {
	runtime, err := p.crioRuntime()
	if _, remains := edit.Lookup(runtime, "runtimes", handler); err != nil || remains {
		return err
	}
	return p.dropDefault(p.crioFiles(), edit.TOML, "crio", "runtime", "default_runtime")
}

// crioSource returns the runtime that berth-runtime should run: the default one if it is an OCI runtime, else the
// only one configured, else crun, CRI-O's own from 1.31.
func crioSource(runtime map[string]any) (string, map[string]any) {
	runtimes, _ := runtime["runtimes"].(map[string]any)
	name, _ := runtime["default_runtime"].(string)
	if kind, _ := stringAt(runtimes, name, "runtime_type"); name == "" || name == handler || kind != "" && kind != "oci" {
		name = "crun"
		if _, configured := runtimes[name]; !configured && runtimes["runc"] != nil {
			name = "runc"
		}
	}
	table, _ := runtimes[name].(map[string]any)
	return name, table
}
