package check

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/pelletier/go-toml/v2"
)

// The directories of hooks.d that packages and administrators write to. CRI-O
// reads both unless told otherwise, podman the first one only
// (oci-hooks(5), containers.conf(5)).
const (
	usrHooksDir = "/usr/share/containers/oci/hooks.d"
	etcHooksDir = "/etc/containers/oci/hooks.d"
)

// containersConf are podman's files, each laid over those before it.
var containersConf = []string{"/usr/share/containers/containers.conf", "/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*.conf"}

// HookFile is a file of hooks.d that runs berth-hook (oci-hooks(5)).
type HookFile struct {
	File, Hook string
	Stages     []string
}

// BrokenFile is one that an engine cannot read.
type BrokenFile struct {
	File string
	Err  error
}

// gatherHooks reads the files of hooks.d. One in a later directory hides that
// of its name in an earlier one.
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
	for _, dir := range []string{usrHooksDir, etcHooksDir} {
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
	files, _ := filepath.Glob(filepath.Join(c.path(dir), "*.json")) // no such directory is no files
	return files
}

func readHook(file string) (HookFile, error) {
	var h struct {
		Hook struct {
			Path string `json:"path"`
		} `json:"hook"`
		Stages []string `json:"stages"`
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &h)
	}
	return HookFile{file, h.Hook.Path, h.Stages}, err
}

// readContainersConf takes podman's hooks_dir. A list replaces the one of the
// files before, or with {append = true} in it adds to that.
func (c *Checker) readContainersConf(e *Engine) {
	for _, pattern := range containersConf {
		files, _ := filepath.Glob(c.path(pattern)) // the patterns are well formed
		for _, file := range files {
			var conf struct {
				Engine struct {
					HooksDir []any `toml:"hooks_dir"`
				} `toml:"engine"`
			}
			text, err := os.ReadFile(file)
			if err != nil {
				continue // not ours to read; podman as root reads it
			}
			var wrong *toml.DecodeError
			if err := toml.Unmarshal(text, &conf); errors.As(err, &wrong) {
				e.Broken = append(e.Broken, BrokenFile{file, err})
				continue
			}
			if conf.Engine.HooksDir != nil {
				e.HooksDirs = hooksDirs(conf.Engine.HooksDir, e.HooksDirs)
			}
		}
	}
}

// hooksDirs is what a list of containers.conf makes of the one before it.
func hooksDirs(list []any, before []string) (dirs []string) {
	add := false
	for _, item := range list {
		switch item := item.(type) {
		case string:
			dirs = append(dirs, item)
		case map[string]any:
			add = item["append"] == true
		}
	}
	if add {
		return slices.Concat(before, dirs)
	}
	return dirs
}
