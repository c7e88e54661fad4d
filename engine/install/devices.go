package install

import (
	"fmt"
	"path/filepath"

	"berth/engine/cdi"
	"berth/engine/program"
	"berth/internal/config"
)

// RefreshDevices updates the CDI devices and the networks of CNI if they are installed, after
// networks were added or removed. bin is the directory of berth's programs.
func RefreshDevices(dirs config.Dirs, bin string) error {
	if !isDir(installedDir(dirs.Config)) {
		return nil
	}
	return Locked(dirs.Config, func() error {
		records, err := readRecords(dirs.Config)
		if err != nil {
			return err
		}
		for _, path := range devicesFiles(records) {
			if _, err := WriteDevices(path, program.Beside(filepath.Join(bin, program.Hook)), dirs); err != nil {
				return err
			}
		}
		if r := recordOf(records, Nerdctl); r != nil {
			return r.refreshNetworks(dirs)
		}
		return nil
	})
}

// devicesFiles returns the installed files of devices.
func devicesFiles(records []*record) (paths []string) {
	for _, r := range records {
		if r.Engine != CDI && r.Engine != Nerdctl {
			continue
		}
		for _, f := range r.Files {
			if f.Format == "" && filepath.Base(f.Path) == cdi.File {
				paths = append(paths, f.Path)
			}
		}
	}
	return paths
}

// WriteDevices writes the networks of a configuration as devices that run the hook at a
// path; if there are no networks, it removes the file. It returns the names that no device
// can have.
func WriteDevices(path, hook string, dirs config.Dirs) (left []string, err error) {
	names, err := config.Names(dirs.Config)
	if err != nil {
		return nil, err
	}
	text, left, err := cdi.Generate(names, hook, dirs)
	if err != nil {
		return nil, err
	}
	var c *Content
	if text != "" {
		c = &Content{Text: text, Mode: 0o644}
	}
	now, err := readFile(path, false)
	if err != nil || now.sum() == c.sum() {
		return left, err
	}
	if err := writeFile(path, c); err != nil {
		return nil, fmt.Errorf("write CDI devices: %w", err)
	}
	return left, nil
}
