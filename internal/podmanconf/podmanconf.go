// Package podmanconf is the part of podman's configuration (containers.conf(5))
// that checks and installations agree on: its files, and the directories of
// hooks.d that they lead to. It reads and writes no file.
package podmanconf

import (
	"fmt"
	"slices"
)

// Files are podman's files as patterns, each laid over those before it.
var Files = []string{
	"/usr/share/containers/containers.conf", "/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*.conf",
}

// The directories of hooks.d that packages and administrators write to. CRI-O
// reads both unless told otherwise, podman the first one only
// (oci-hooks(5), containers.conf(5)).
const (
	UsrHooksDir = "/usr/share/containers/oci/hooks.d"
	EtcHooksDir = "/etc/containers/oci/hooks.d"
)

// HooksDirs collects hooks_dir of the table [engine] over podman's files. The
// zero value is podman's default.
type HooksDirs struct {
	dirs     []string
	said     bool // a file has the key
	appended bool // {append = true} stays in force for the files that follow
}

// Read takes the value of a further file, as a decoder of TOML returns it, as
// podman does (UnmarshalTOML in containers/common, internal/attributedstring):
// it replaces the list, or adds to it after {append = true}.
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
		dirs = slices.Concat(h.current(), dirs)
	}
	h.dirs, h.said = dirs, true
	return nil
}

func (h *HooksDirs) current() []string {
	if !h.said {
		return []string{UsrHooksDir}
	}
	return h.dirs
}

// Dirs returns the directories that podman reads as root; a later one hides
// files of an earlier one. If the list is empty, it reads both of old
// (setupOCIHooks in podman, libpod/container_internal.go).
func (h *HooksDirs) Dirs() []string {
	if dirs := h.current(); len(dirs) > 0 {
		return slices.Clone(dirs)
	}
	return []string{UsrHooksDir, EtcHooksDir}
}
