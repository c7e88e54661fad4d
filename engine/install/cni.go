package install

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"berth/engine/edit"
	"berth/engine/entry"
	"berth/internal/config"
	"berth/internal/regular"
)

const cniProgram = "berth-cni"

// The files of networks of CNI. The prefix sorts last, because Kubernetes' runtimes take the
// first file of the directory for the network of their pods.
const (
	cniPrefix = "zz-berth-"
	cniSuffix = ".conflist"
)

// nerdctl's configuration, and its directories (pkg/defaults/defaults_linux.go). Of the
// plugins' directories it takes the first that exists.
const (
	nerdctlConfig = "/etc/nerdctl/nerdctl.toml"
	cniConfDir    = "/etc/cni/net.d"
)

var cniPluginDirs = []string{"/opt/cni/bin", "/usr/local/libexec/cni", "/usr/local/lib/cni",
	"/usr/libexec/cni", "/usr/lib/cni"}

// planNetworks puts berth-cni among the plugins that nerdctl runs, and writes a file of CNI
// for each network, so that nerdctl has the network under its name.
func (p *planner) planNetworks() error {
	program, err := p.o.programPath(cniProgram)
	if err != nil {
		return err
	}
	plugins, conf, err := p.nerdctlDirs()
	if err != nil {
		return err
	}
	if err := p.planPlugin(filepath.Join(plugins, cniProgram), program); err != nil {
		return err
	}
	p.plan.cniDir = conf
	names, err := config.Names(p.o.configHome())
	if err != nil {
		return err
	}
	for _, name := range names {
		if other := cniFileOf(conf, name); other != "" {
			p.addNote("network %q is not nerdctl's, because %s has that name already", name, other)
			continue
		}
		if err := p.writeWhole(cniFile(conf, name), cniText(name), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// nerdctlDirs returns the directories of CNI's plugins and networks.
func (p *planner) nerdctlDirs() (plugins, conf string, err error) {
	values, err := p.decodePlanned(p.o.sysPath(nerdctlConfig), edit.TOML)
	if err != nil {
		return "", "", err
	}
	plugins, conf = p.o.sysPath(cniPluginDirs[0]), p.o.sysPath(cniConfDir)
	if i := slices.IndexFunc(cniPluginDirs, func(dir string) bool { return isDir(p.o.sysPath(dir)) }); i >= 0 {
		plugins = p.o.sysPath(cniPluginDirs[i])
	}
	if dir, _ := stringAt(values, "cni_path"); dir != "" {
		plugins = dir
	}
	if dir, _ := stringAt(values, "cni_netconfpath"); dir != "" {
		conf = dir
	}
	return plugins, conf, nil
}

// planPlugin plans the plugin at a path: a link, unless the link of a package leads to the
// program, or a script if berth's directories are not the usual ones.
func (p *planner) planPlugin(path, program string) error {
	if flags := entry.Flags("--", p.o.Dirs); len(flags) > 0 {
		return p.writeWhole(path, p.scriptText(append([]string{program}, flags...)), 0o755)
	}
	f, err := p.planFile(path, false)
	if err != nil {
		return err
	}
	if f.Base != nil && f.Base.Link {
		to := f.Base.Text
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		if to == program {
			return nil
		}
	}
	return p.planLink(path, program)
}

func cniFile(dir, name string) string { return filepath.Join(dir, cniPrefix+name+cniSuffix) }

// cniText returns the file of a network. nerdctl reads files of version 1.0.0 and older.
func cniText(name string) string {
	return fmt.Sprintf(`{
  "cniVersion": "1.0.0",
  "name": %[1]q,
  "plugins": [
    {"type": %[2]q, "network": %[1]q, "capabilities": {"ips": true, "mac": true}}
  ]
}
`, name, cniProgram)
}

// cniFileOf returns the path of a file of others that has a network's name, or "".
func cniFileOf(dir, name string) string {
	paths, _ := filepath.Glob(filepath.Join(dir, "*.*")) // the pattern is well formed
	for _, path := range paths {
		if !slices.Contains([]string{".conf", ".conflist", ".json"}, filepath.Ext(path)) || path == cniFile(dir, name) {
			continue
		}
		var named struct{ Name string }
		text, err := regular.Read(path, maxFile)
		if err == nil && json.Unmarshal(text, &named) == nil && named.Name == name {
			return path
		}
	}
	return ""
}

// refreshNetworks updates the files of CNI of an installation, after networks were added or
// removed, and its record.
func (r *record) refreshNetworks(dirs config.Dirs) error {
	if r.CNIDir == "" {
		return nil
	}
	names, err := config.Names(dirs.Config)
	if err != nil {
		return err
	}
	want := make(map[string]*Content)
	for _, f := range r.Files {
		if filepath.Dir(f.Path) == r.CNIDir && strings.HasPrefix(filepath.Base(f.Path), cniPrefix) {
			want[f.Path] = nil
		}
	}
	for _, name := range names {
		if cniFileOf(r.CNIDir, name) != "" {
			continue
		}
		path, c := cniFile(r.CNIDir, name), &Content{Text: cniText(name), Mode: 0o644}
		if _, recorded := want[path]; !recorded {
			r.Files = append(r.Files, recordedFile{Path: path, Sum: c.sum()})
		}
		want[path] = c
	}
	if err := r.writeTo(recordDir(dirs.Config, r.Engine)); err != nil {
		return err
	}
	return writeChanged(want)
}

// writeChanged writes the files that differ, and removes those without content.
func writeChanged(want map[string]*Content) error {
	for path, c := range want {
		now, err := readFile(path, false)
		if err == nil && now.sum() != c.sum() {
			err = writeFile(path, c)
		}
		if err != nil {
			return fmt.Errorf("write network of CNI: %w", err)
		}
	}
	return nil
}
