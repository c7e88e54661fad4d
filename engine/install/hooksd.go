package install

import (
	"path/filepath"
	"slices"

	"berth/engine/entry"
)

// hooksFile is the name of berth's file in hooks.d.
const hooksFile = "berth.json"

// writeHooks writes the file of hooks.d into the last of the engine's directories, whose
// files override those of the same name in others.
func (p *planner) writeHooks(dirs []string) error {
	path, err := p.o.hookPath()
	if err != nil {
		return err
	}
	dir := p.o.HooksDir
	if dir == "" {
		dir = p.o.sysPath(dirs[len(dirs)-1])
	} else if !slices.Contains(dirs, dir) {
		p.addNote("%s does not read %s unless its hooks_dir or --hooks-dir names it", p.o.Engine, dir)
	}
	return p.writeWhole(filepath.Join(dir, hooksFile), entry.HooksD(path, p.o.Dirs), 0o644)
}
