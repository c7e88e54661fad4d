// Package podmanconf interprets the part of podman's configuration
// (containers.conf(5)) that checks and installations share: its files, and their
// directories of hooks.d. It reads and writes no file.
package podmanconf

import (
	"fmt"
	"slices"
)

// Files are podman's files as patterns; each overrides those before it.
var Files = []string{
	"/usr/share/containers/containers.conf", "/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*.conf",
}

// The directories of hooks.d to which packages and administrators write. By
// default CRI-O reads both, podman only the first (oci-hooks(5),
// containers.conf(5)).
const (
	UsrHooksDir = "/usr/share/containers/oci/hooks.d"
	EtcHooksDir = "/etc/containers/oci/hooks.d"
)

// HooksDirs collects hooks_dir of the table [engine] over podman's files. The
// zero value is podman's default.
type HooksDirs struct {
	dirs     []string
	isSet    bool // a file has the key
	appended bool // {append = true} also applies to the files that follow
}

// Read applies the value of a further file, as a decoder of TOML returns it. Like
// podman (UnmarshalTOML in containers/common, internal/attributedstring) it
// replaces the list, or adds to it after {append = true}.
func (h *HooksDirs) Read(value any) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("engine.hooks_dir is %v: want a list of directories", value)
	}
	var dirs []string
	for _, item := range list {
		switch item := item.(type) {
		case string:
			dirs = append(dirs, item)
		case map[string]any:
			add, isBool := item["append"].(bool)
			if !isBool || len(item) != 1 {
				return fmt.Errorf("engine.hooks_dir has %v: want directories, and {append = true} or false", item)
			}
			h.appended = add
		default:
			return fmt.Errorf("engine.hooks_dir has %v: want directories, in quotes", item)
		}
	}
	if h.appended {
		dirs = slices.Concat(h.currentDirs(), dirs)
	}
	h.dirs, h.isSet = dirs, true
	return nil
}

func (h *HooksDirs) currentDirs() []string {
	if !h.isSet {
		return []string{UsrHooksDir}
	}
	return h.dirs
}

// Dirs returns the directories that podman reads as root; a later one hides files
// of an earlier one. If the list is empty, podman reads the two older default
// directories (setupOCIHooks in podman, libpod/container_internal.go).
func (h *HooksDirs) Dirs() []string {
	if dirs := h.currentDirs(); len(dirs) > 0 {
		return slices.Clone(dirs)
	}
	return []string{UsrHooksDir, EtcHooksDir}
}
