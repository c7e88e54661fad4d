package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Engine is one that is installed, and what of its configuration names berth.
type Engine struct {
	Name   string
	Files  []string     // that name berth's programs
	Hooks  []HookFile   // those of them that are of hooks.d
	Broken []BrokenFile // of hooks.d, which keep the engine from starting anything
}

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

// hooksDirs are those that podman and CRI-O look into unless told otherwise.
var hooksDirs = []string{"/usr/share/containers/oci/hooks.d", "/etc/containers/oci/hooks.d"}

// engines are the executables by which an engine is known, and where it is
// told about hooks and runtimes, beside CDI, which all of them read.
var engines = []struct {
	name, executable string
	files            []string
	hooks            bool
}{
	{"podman", "podman", []string{"/etc/containers/containers.conf", "/etc/containers/containers.conf.d/*.conf", "/usr/share/containers/containers.conf"}, true},
	{"CRI-O", "crio", []string{"/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*"}, true},
	{"docker", "dockerd", []string{"/etc/docker/daemon.json"}, false},
	{"containerd", "containerd", []string{"/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml"}, false},
}

// cdiFiles is where engines look for devices (the Container Device Interface).
var cdiFiles = []string{"/etc/cdi/*", "/var/run/cdi/*"}

func (c *Checker) gatherEngines() (all []Engine) {
	for _, e := range engines {
		if c.executable(e.executable) == "" {
			continue
		}
		found := Engine{Name: e.name, Files: c.naming(slices.Concat(e.files, cdiFiles))}
		if e.hooks {
			c.gatherHooks(&found)
		}
		all = append(all, found)
	}
	return all
}

// gatherHooks reads the files of hooks.d. One in /etc hides that of its name
// in /usr.
func (c *Checker) gatherHooks(e *Engine) {
	byName := make(map[string]string)
	for _, dir := range hooksDirs {
		files, _ := filepath.Glob(c.path(dir + "/*.json")) // the pattern is well formed
		for _, file := range files {
			byName[filepath.Base(file)] = file
		}
	}
	for _, file := range byName {
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
		switch {
		case err != nil:
			e.Broken = append(e.Broken, BrokenFile{file, err})
		case namesBerth(h.Hook.Path):
			e.Hooks = append(e.Hooks, HookFile{file, h.Hook.Path, h.Stages})
			e.Files = append(e.Files, file)
		}
	}
}

// naming returns the files of some patterns that name berth's programs.
func (c *Checker) naming(patterns []string) (files []string) {
	for _, pattern := range patterns {
		found, _ := filepath.Glob(c.path(pattern)) // the patterns are well formed
		for _, file := range found {
			if text, err := os.ReadFile(file); err == nil && namesBerth(string(text)) {
				files = append(files, file)
			}
		}
	}
	return files
}

func namesBerth(text string) bool {
	return strings.Contains(text, "berth-hook") || strings.Contains(text, "berth-runtime")
}

// executable returns the path of a program, "" when there is none.
func (c *Checker) executable(name string) string {
	for _, dir := range c.Path {
		path := filepath.Join(dir, name)
		if lookAt(path).Exec {
			return path
		}
	}
	return ""
}

// judgeEngines tells which engines run berth-hook.
func judgeEngines(r *report, all []Engine) {
	if len(all) == 0 {
		r.warn("engine", "install podman, docker, containerd with nerdctl, or CRI-O", "none found")
	}
	for _, e := range all {
		judgeEngine(r, e)
	}
}

func judgeEngine(r *report, e Engine) {
	for _, b := range e.Broken {
		r.fail(e.Name, "correct or remove that file", "it starts nothing: %s: %v", b.File, b.Err)
	}
	for _, h := range e.Hooks {
		if missing := missingStages(h.Stages); missing != "" {
			r.fail(e.Name, `let its stages be ["createRuntime", "poststop"]`, "%s has no stage %s", h.File, missing)
			return
		}
	}
	if len(e.Files) > 0 {
		r.pass(e.Name, "told by %s", strings.Join(e.Files, ", "))
		return
	}
	remedy := "put a CDI device into /etc/cdi whose createRuntime and poststop hooks run berth-hook, and start containers with --device"
	if e.Name == "podman" || e.Name == "CRI-O" {
		remedy = fmt.Sprintf("copy deploy/hooks.d/berth.json into %s", hooksDirs[1])
	}
	r.warn(e.Name, remedy, "nothing tells it to run berth-hook, so it ignores berth's annotations")
}

// missingStages returns the stage without which a hook does half of its work.
func missingStages(stages []string) string {
	switch {
	case !slices.Contains(stages, "createRuntime") && !slices.Contains(stages, "prestart"):
		return "createRuntime"
	case !slices.Contains(stages, "poststop"):
		return "poststop"
	}
	return ""
}
