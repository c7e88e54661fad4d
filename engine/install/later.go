package install

import (
	"path/filepath"
	"strings"

	"berth/engine/edit"
)

// setDefault makes berth's handler the default in a key, and adds notes on files read later
// that name another.
func (p *planner) setDefault(path string, key ...string) error {
	beside, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "*"+filepath.Ext(path))) // the pattern is well formed
	for _, later := range beside {
		if later <= path {
			continue
		}
		values, err := p.decodePlanned(later, edit.TOML)
		if err != nil {
			return err
		}
		if other, _ := stringAt(values, key...); other != "" && other != handler {
			p.addNote("%s is read after %s, and makes %q the default: take that out of it", later, path, other)
		}
	}
	return p.setValue(path, edit.TOML, key, handler)
}

// noteLater adds a note on each file that an engine reads after one, and whose value of a key lacks
// berth's runtime.
func (p *planner) noteLater(files []string, path, key string, lacks func(value any) bool) error {
	for _, later := range files {
		if filepath.Base(later) <= filepath.Base(path) || filepath.Dir(later) != filepath.Dir(path) {
			continue
		}
		values, err := p.decodePlanned(later, edit.TOML)
		if err != nil {
			return err
		}
		if value, there := edit.Lookup(values, strings.Split(key, ".")...); there && lacks(value) {
			p.addNote("%s is read after %s, and sets %s without %q: add that to it", later, path, key, handler)
		}
	}
	return nil
}
