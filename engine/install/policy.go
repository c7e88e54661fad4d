package install

import (
	"path/filepath"
	"strings"

	"berth/engine/edit"
)

// allowStatic lets annotations request addresses and MACs: every account that may use this engine
// has the rights of root anyway. It keeps an administrator's own setting.
func (p *planner) allowStatic() error {
	path := filepath.Join(p.o.configHome(), "berth.toml")
	var set, left []string
	for _, key := range []string{"static_ips", "static_macs"} {
		values, err := p.decodePlanned(path, edit.TOML)
		if err != nil {
			return err
		}
		if now, _ := edit.Lookup(values, "policy", key); now == false {
			left = append(left, key)
			continue
		}
		if err := p.setValue(path, edit.TOML, []string{"policy", key}, true); err != nil {
			return err
		}
		set = append(set, key)
	}
	if len(set) > 0 {
		p.addNote("%s: %s = true, because every account that may use %s has the rights of root anyway; it holds for all "+
			"engines of this host", path, strings.Join(set, ", "), p.o.Engine)
	}
	if len(left) > 0 {
		p.addNote("%s: %s = false stays, so annotations cannot request that", path, strings.Join(left, ", "))
	}
	return nil
}
