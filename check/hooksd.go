package check

import (
	"encoding/json"
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"

	"berth/internal/podmanconf"
	"berth/internal/regular"
)

// HookFile is a file of hooks.d that runs berth-hook (oci-hooks(5)).
type HookFile struct {
	File, Hook string
	Stages     []string
}

// BrokenFile is a file that an engine cannot parse.
type BrokenFile struct {
	File string
	Err  error
}

// gatherHooks reads the files of hooks.d. A file in a later directory overrides one of its
// name in an earlier one.
func (c *Checker) gatherHooks(e *Engine) {
	byName := make(map[string]string)
	for _, dir := range e.HooksDirs {
		for _, file := range c.hookFiles(dir) {
			byName[filepath.Base(file)] = file
		}
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		h, err := readHook(byName[name])
		switch {
		case err != nil:
			e.Broken = append(e.Broken, BrokenFile{byName[name], err})
		case namesBerth(h.Hook):
			e.Hooks = append(e.Hooks, h)
			e.Files = append(e.Files, h.File)
		}
	}
	for _, dir := range []string{podmanconf.UsrHooksDir, podmanconf.EtcHooksDir} {
		if slices.Contains(e.HooksDirs, dir) {
			continue
		}
		for _, file := range c.hookFiles(dir) {
			if h, err := readHook(file); err == nil && namesBerth(h.Hook) {
				e.Unread = append(e.Unread, file)
			}
		}
	}
}

func (c *Checker) hookFiles(dir string) []string {
	files, _ := filepath.Glob(filepath.Join(c.underRoot(dir), "*.json")) // a missing directory has no files
	return files
}

func readHook(file string) (HookFile, error) {
	var h struct {
		Hook struct {
			Path string `json:"path"`
		} `json:"hook"`
		Stages []string `json:"stages"`
	}
	text, err := regular.Read(file, maxEngineFile)
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	return HookFile{file, h.Hook.Path, h.Stages}, err
}

// readContainersConf reads podman's hooks_dir.
func (c *Checker) readContainersConf(e *Engine) {
	var dirs podmanconf.HooksDirs
	for _, pattern := range podmanconf.Files {
		files, _ := filepath.Glob(c.underRoot(pattern)) // the patterns are well formed
		for _, file := range files {
			text, err := regular.Read(file, maxEngineFile)
			if err != nil {
				continue // only root may read it, as podman does
			}
			if err := readHooksDir(text, &dirs); err != nil {
				e.Broken = append(e.Broken, BrokenFile{file, err})
			}
		}
	}
	e.HooksDirs = dirs.Dirs()
}

func readHooksDir(text []byte, dirs *podmanconf.HooksDirs) error {
	var conf struct {
		Engine struct {
			HooksDir any `toml:"hooks_dir"`
		} `toml:"engine"`
	}
	var wrong *toml.DecodeError
	if err := toml.Unmarshal(text, &conf); errors.As(err, &wrong) {
		return err
	}
	if conf.Engine.HooksDir == nil {
		return nil
	}
	return dirs.Read(conf.Engine.HooksDir)
}
