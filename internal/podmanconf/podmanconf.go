// Package podmanconf interprets the part of podman's configuration
// (containers.conf(5)) that checks and installations share: its files, and their
// directories of hooks.d and of netavark's plugins. It reads and writes no file.
//
// [HooksDirs] and [PluginDirs] collect these directories over all files, [Names] other lists.
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

// NetavarkDirs are the directories in which podman and netavark look for plugins by default
// (containers.conf(5), netavark_plugin_dirs), in their order.
var NetavarkDirs = []string{"/usr/local/libexec/netavark", "/usr/libexec/netavark", "/usr/local/lib/netavark",
	"/usr/lib/netavark"}

// HooksDirs collects hooks_dir of the table [engine] over podman's files. The
// zero value is podman's default.
type HooksDirs struct{ list dirList }

// Read applies the value of a further file, as a decoder of TOML returns it.
func (h *HooksDirs) Read(value any) error {
	return h.list.setDirs("engine.hooks_dir", []string{UsrHooksDir}, value)
}

// Dirs returns the directories that podman reads as root; a later one hides files
// of an earlier one. If the list is empty, podman reads the two older default
// directories (setupOCIHooks in podman, libpod/container_internal.go).
func (h *HooksDirs) Dirs() []string {
	if dirs := h.list.dirsOr([]string{UsrHooksDir}); len(dirs) > 0 {
		return slices.Clone(dirs)
	}
	return []string{UsrHooksDir, EtcHooksDir}
}

// PluginDirs collects netavark_plugin_dirs of the table [network] over podman's files. The
// zero value is podman's default.
type PluginDirs struct{ list dirList }

// Read applies the value of a further file, as a decoder of TOML returns it.
func (d *PluginDirs) Read(value any) error {
	return d.list.setDirs("network.netavark_plugin_dirs", NetavarkDirs, value)
}

// Dirs returns the directories; a file of an earlier one hides those of later ones.
func (d *PluginDirs) Dirs() []string { return slices.Clone(d.list.dirsOr(NetavarkDirs)) }

// Names collects a list of names over podman's files.
type Names struct {
	Standard []string // podman's default
	list     dirList
}

// Read applies the value of a further file, as a decoder of TOML returns it.
func (n *Names) Read(key string, value any) error { return n.list.setDirs(key, n.Standard, value) }

// With returns the value of a further file that adds a name: only the name if {append = true} of an
// earlier file is in force.
func (n *Names) With(name string) []string {
	all := n.list.dirsOr(n.Standard)
	switch {
	case slices.Contains(all, name):
		return slices.Clone(all)
	case n.list.appended:
		return []string{name}
	}
	return append(slices.Clone(all), name)
}

// dirList is a list of directories, or names, over podman's files.
type dirList struct {
	dirs     []string
	isSet    bool // a file has the key
	appended bool // {append = true} also applies to the files that follow
}

// setDirs replaces the list, or adds to it after {append = true}, as podman does
// (UnmarshalTOML in containers/common, internal/attributedstring).
func (l *dirList) setDirs(key string, standard []string, value any) error {
	list, ok := value.([]any)
	if !ok {
		return fmt.Errorf("%s is %v: want a list of strings", key, value)
	}
	var dirs []string
	for _, item := range list {
		switch item := item.(type) {
		case string:
			dirs = append(dirs, item)
		case map[string]any:
			add, isBool := item["append"].(bool)
			if !isBool || len(item) != 1 {
				return fmt.Errorf("%s has %v: want strings, and {append = true} or false", key, item)
			}
			l.appended = add
		default:
			return fmt.Errorf("%s has %v: want strings, in quotes", key, item)
		}
	}
	if l.appended {
		dirs = slices.Concat(l.dirsOr(standard), dirs)
	}
	l.dirs, l.isSet = dirs, true
	return nil
}

func (l *dirList) dirsOr(standard []string) []string {
	if !l.isSet {
		return standard
	}
	return l.dirs
}
