package install

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"berth/engine/edit"
	"berth/internal/engineversion"
)

const containerdConfig = "/etc/containerd/config.toml"

// criPlugin returns the plugin that has CRI's runtimes, by the version of the configuration
// (containerd, docs/cri/config.md and docs/PLUGINS.md).
func criPlugin(version int64) string {
	switch version {
	case 1:
		return "cri"
	case 2:
		return "io.containerd.grpc.v1.cri"
	}
	return "io.containerd.cri.v1.runtime"
}

// runcShim is the shim that supports the option BinaryName.
const runcShim = "io.containerd.runc.v2"

// planContainerd adds a runtime handler for Kubernetes: a copy of the default
// one, with its options, that runs berth-runtime and gets berth's annotations.
func planContainerd(p *planner) error {
	v := p.engineVersion("containerd")
	c, err := p.readContainerd(v)
	if err != nil {
		return err
	}
	name, source := c.sourceRuntime()
	if err := c.checkHandler(p.o.Default, name); err != nil {
		return err
	}
	options, _ := source["options"].(map[string]any)
	low, _ := options["BinaryName"].(string)
	program, err := p.launcherPath(launchSpec{runtime: low})
	if err != nil {
		return err
	}
	path := p.containerdTarget(c, v)
	if err := p.versionOf(path, c); err != nil {
		return err
	}
	runtimes := []string{"plugins", c.plugin, "containerd", "runtimes"}
	if !c.hasRunc() && !v.AtLeast(2, 0) {
		// containerd 1.x takes this table as the complete list of runtimes.
		err = p.setValue(path, edit.TOML, append(runtimes, "runc"), map[string]any{"runtime_type": runcShim})
	}
	if err == nil {
		err = p.setValue(path, edit.TOML, append(runtimes, handler), criRuntime(source, program))
	}
	if err == nil && p.o.Default {
		err = p.setDefault(path, "plugins", c.plugin, "containerd", "default_runtime_name")
	}
	p.plan.Restart = "systemctl restart containerd"
	p.containerdNotes(c, name)
	return err
}

// checkHandler refuses to replace a handler of others, and a default runtime of another shim.
func (c *containerdFiles) checkHandler(makeDefault bool, source string) error {
	entry, _ := edit.Lookup(c.cri, "containerd", "runtimes", handler)
	named, _ := stringAt(c.cri, "containerd", "runtimes", handler, "options", "BinaryName")
	if err := refuseForeign(c.main, entry, named); err != nil {
		return err
	}
	if name := c.defaultName(); makeDefault && name != "" && name != handler && name != source {
		return errDefault(name, "does not use the shim "+runcShim)
	}
	return nil
}

// leaveContainerd removes a default that names berth's handler if the handler is gone.
func (p *planner) leaveContainerd() error {
	c, err := p.readContainerd(p.engineVersion("containerd"))
	if err != nil {
		return err
	}
	if _, remains := edit.Lookup(c.cri, "containerd", "runtimes", handler); remains {
		return nil
	}
	return p.dropDefault(c.files, edit.TOML, "plugins", c.plugin, "containerd", "default_runtime_name")
}

func (p *planner) containerdNotes(c *containerdFiles, source string) {
	if c.disabled {
		p.addNote("Kubernetes cannot use this containerd: %s has CRI under disabled_plugins", c.main)
	}
	if p.o.Default {
		p.addNote("pods without a runtimeClassName get the handler, a copy of the runtime %q", source)
	} else {
		p.addNote("pods with runtimeClassName %s get the handler, a copy of the runtime %q", handler, source)
	}
	bin := ShellWord(filepath.Join(p.o.Bin, runtimeProgram))
	p.addNote("ctr and nerdctl need no configuration: ctr run --runc-binary %s …, nerdctl run --runtime %[1]s …", bin)
}

// criRuntime returns berth's runtime handler: a copy of another.
func criRuntime(source map[string]any, program string) map[string]any {
	table := maps.Clone(source)
	if table == nil {
		table = make(map[string]any)
	}
	options, _ := source["options"].(map[string]any)
	if options = maps.Clone(options); options == nil {
		options = make(map[string]any)
	}
	options["BinaryName"] = program
	table["runtime_type"], table["options"] = runcShim, options
	annotations, _ := source["pod_annotations"].([]any)
	if !slices.Contains(annotations, any("berth/*")) {
		annotations = append(slices.Clone(annotations), "berth/*")
	}
	table["pod_annotations"] = annotations
	return table
}

// versionOf sets the version of a new configuration, or of a drop-in.
func (p *planner) versionOf(path string, c *containerdFiles) error {
	if _, there, err := p.readPlanned(path); there || err != nil {
		return err
	}
	return p.setValue(path, edit.TOML, []string{"version"}, c.version)
}

// containerdTarget returns the file to edit: a drop-in of berth's own if containerd reads
// drop-ins and merges tables, as it does from 2.0. Before that, a later file replaces a
// whole plugin's table, so the last file with the table is edited.
func (p *planner) containerdTarget(c *containerdFiles, v engineversion.Version) string {
	if v.AtLeast(2, 0) && p.o.File == "" {
		for _, pattern := range c.imports {
			if dir := filepath.Dir(pattern); filepath.Base(dir) == "conf.d" && strings.HasSuffix(pattern, "*.toml") {
				return filepath.Join(dir, "99-berth.toml")
			}
		}
		return c.main
	}
	return c.last
}

// containerdFiles is containerd's configuration, merged from its files.
type containerdFiles struct {
	main     string
	last     string // the file whose table of the CRI plugin takes effect
	imports  []string
	files    []string // all that containerd reads
	version  int64
	plugin   string
	cri      map[string]any // the CRI plugin's table
	disabled bool
}

func (p *planner) readContainerd(v engineversion.Version) (*containerdFiles, error) {
	c := &containerdFiles{main: p.mainFile(containerdConfig)}
	c.last = c.main
	main, err := p.decodePlanned(c.main, edit.TOML)
	if err != nil {
		return nil, err
	}
	c.version = c.versionFor(main, v)
	c.plugin = criPlugin(c.version)
	seen := make(map[string]bool)
	for pending := []string{c.main}; len(pending) > 0; {
		path := pending[0]
		pending = pending[1:]
		if seen[path] {
			continue
		}
		seen[path] = true
		c.files = append(c.files, path)
		values, err := p.decodePlanned(path, edit.TOML)
		if err != nil {
			return nil, err
		}
		c.mergeFile(path, values, v)
		imports, files := p.importedFiles(path, values)
		c.imports = append(c.imports, imports...)
		pending = append(pending, files...)
	}
	return c, nil
}

// versionFor returns the version of the configuration: the file's own, which is 1 if not
// set; for a new file, the version that this containerd writes.
func (c *containerdFiles) versionFor(main map[string]any, v engineversion.Version) int64 {
	if version, ok := main["version"].(int64); ok {
		return version
	}
	switch {
	case len(main) > 0 && (main["plugins"] != nil || main["disabled_plugins"] == nil):
		return 1
	case v.AtLeast(2, 0):
		return 3
	}
	return 2
}

// mergeFile merges a file over those before it.
func (c *containerdFiles) mergeFile(path string, values map[string]any, v engineversion.Version) {
	disabled, _ := values["disabled_plugins"].([]any)
	for _, plugin := range disabled {
		if name, _ := plugin.(string); name == "cri" || strings.HasPrefix(name, "io.containerd.grpc.v1.cri") ||
			strings.HasPrefix(name, "io.containerd.cri.v1") {
			c.disabled = true
		}
	}
	version, ok := values["version"].(int64)
	if !ok {
		version = c.version
	}
	found, _ := edit.Lookup(values, "plugins", criPlugin(version))
	table, ok := found.(map[string]any)
	switch {
	case !ok:
	case v.AtLeast(2, 0):
		c.cri = mergeTables(c.cri, table)
	default:
		c.cri, c.last, c.plugin = table, path, criPlugin(version)
	}
}

// mergeTables merges a table over another, and its tables over those of the same name.
func mergeTables(under, over map[string]any) map[string]any {
	all := maps.Clone(under)
	if all == nil {
		all = make(map[string]any)
	}
	for key, value := range over {
		below, isTable := value.(map[string]any)
		before, wasTable := all[key].(map[string]any)
		if isTable && wasTable {
			value = mergeTables(before, below)
		}
		all[key] = value
	}
	return all
}

// importedFiles returns the patterns that a file imports, absolute, and the files that match
// them, in containerd's order.
func (p *planner) importedFiles(path string, values map[string]any) (patterns, files []string) {
	list, _ := values["imports"].([]any)
	for _, item := range list {
		pattern, _ := item.(string)
		switch {
		case pattern == "":
			continue
		case filepath.IsAbs(pattern):
			pattern = p.o.sysPath(pattern)
		default:
			pattern = filepath.Join(filepath.Dir(path), pattern)
		}
		found, _ := filepath.Glob(pattern) // containerd refuses a malformed pattern; it matches nothing
		patterns, files = append(patterns, pattern), append(files, found...)
	}
	return patterns, files
}

func (c *containerdFiles) hasRunc() bool {
	_, ok := edit.Lookup(c.cri, "containerd", "runtimes", "runc")
	return ok
}

// sourceRuntime returns the runtime that berth's handler copies: the default one, if it uses
// runc's shim.
func (c *containerdFiles) sourceRuntime() (name string, table map[string]any) {
	for _, name := range []string{c.defaultName(), "runc"} {
		found, _ := edit.Lookup(c.cri, "containerd", "runtimes", name)
		table, ok := found.(map[string]any)
		if kind := table["runtime_type"]; ok && name != handler && (kind == nil || kind == "" || kind == runcShim) {
			return name, table
		}
	}
	return "runc", nil
}

func (c *containerdFiles) defaultName() string {
	name, _ := stringAt(c.cri, "containerd", "default_runtime_name")
	return name
}

// errTooOld returns the error for an engine that lacks a required feature.
func errTooOld(program string, v engineversion.Version, least string) error {
	return fmt.Errorf("%s %s is too old; version %s or newer is required", program, v.Text, least)
}
