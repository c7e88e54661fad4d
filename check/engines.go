package check

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"berth/internal/podmanconf"
	"berth/internal/regular"
)

// Engine is an installed engine, and the parts of its configuration that name berth.
type Engine struct {
	Name      string
	Files     []string     // files that name berth's programs
	HooksDirs []string     // of hooks.d files; nil if the engine does not support them
	Hooks     []HookFile   // the Files that are of hooks.d
	Unread    []string     // hooks.d files that name berth, outside the engine's directories
	Broken    []BrokenFile // files that keep the engine from starting anything
	Missing   []Missing    // berth's programs that the Files name and that do not exist
}

// Missing is one of berth's programs that a file names and that cannot be executed.
type Missing struct{ File, Program string }

// engines lists the executables that identify an engine, and the files that configure its
// hooks and runtimes, beside CDI, which all of them read. hooksDirs are its default
// directories.
var engines = []struct {
	name, executable string
	files            []string
	hooksDirs        []string
}{
	{podman, "podman", podmanconf.Files, []string{podmanconf.UsrHooksDir}},
	{"CRI-O", "crio", []string{"/etc/crio/crio.conf", "/etc/crio/crio.conf.d/*"},
		[]string{podmanconf.UsrHooksDir, podmanconf.EtcHooksDir}},
	{"docker", "dockerd", []string{"/etc/docker/daemon.json"}, nil},
	{containerd, "containerd", []string{"/etc/containerd/config.toml", "/etc/containerd/conf.d/*.toml"}, nil},
}

const (
	podman     = "podman"
	containerd = "containerd"
)

// cdiFiles are the device files that engines read (the Container Device Interface).
var cdiFiles = []string{"/etc/cdi/*", "/var/run/cdi/*"}

// Engines reports for each installed engine whether it runs berth-hook: a line whose check
// is the engine's name.
func (c *Checker) Engines() []Line {
	r := &report{subject: "host"}
	judgeEngines(r, c.gatherEngines())
	return r.lines
}

func (c *Checker) gatherEngines() (all []Engine) {
	for _, e := range engines {
		if c.findExecutable(e.executable) == "" {
			continue
		}
		found := Engine{Name: e.name, Files: c.filesNamingBerth(slices.Concat(e.files, cdiFiles)), HooksDirs: e.hooksDirs}
		if e.name == podman {
			c.readContainersConf(&found)
		}
		if e.hooksDirs != nil {
			c.gatherHooks(&found)
		}
		found.Missing = c.missingPrograms(found.Files)
		all = append(all, found)
	}
	return all
}

// namedProgram matches the absolute path of one of berth's programs in quotes, as JSON and TOML have it.
var namedProgram = regexp.MustCompile(`["'](/[^"']*/berth-(?:hook|runtime)[^"'/]*)["']`)

// missingPrograms returns the programs of berth's that files name and that cannot be executed.
func (c *Checker) missingPrograms(files []string) (missing []Missing) {
	for _, file := range files {
		text, err := regular.Read(file, maxEngineFile)
		if err != nil {
			continue // removed meanwhile
		}
		for _, match := range namedProgram.FindAllStringSubmatch(withoutComments(string(text)), -1) {
			m := Missing{file, match[1]}
			if f := examineFile(c.underRoot(m.Program)); f.Err == nil && !f.Exec && !slices.Contains(missing, m) {
				missing = append(missing, m)
			}
		}
	}
	return missing
}

// withoutComments returns a text without TOML's lines of comments. JSON has none.
func withoutComments(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// maxEngineFile bounds the bytes read of an engine's file.
const maxEngineFile = 4 << 20

// filesNamingBerth returns the files that match some patterns and name berth's programs.
func (c *Checker) filesNamingBerth(patterns []string) (files []string) {
	for _, pattern := range patterns {
		found, _ := filepath.Glob(c.underRoot(pattern)) // the patterns are well formed
		for _, file := range found {
			if text, err := regular.Read(file, maxEngineFile); err == nil && namesBerth(withoutComments(string(text))) {
				files = append(files, file)
			}
		}
	}
	return files
}

func namesBerth(text string) bool {
	return strings.Contains(text, "berth-hook") || strings.Contains(text, "berth-runtime")
}

// findExecutable returns the path of a program, or "" if there is none.
func (c *Checker) findExecutable(name string) string {
	for _, dir := range c.Path {
		path := filepath.Join(dir, name)
		if examineFile(path).Exec {
			return path
		}
	}
	return ""
}

// judgeEngines reports which engines run berth-hook.
func judgeEngines(r *report, all []Engine) {
	if len(all) == 0 {
		r.addWarn("engine", "install podman, docker, containerd with nerdctl, or CRI-O", "no engine was found")
	}
	for _, e := range all {
		judgeEngine(r, e)
	}
}

func judgeEngine(r *report, e Engine) {
	for _, b := range e.Broken {
		r.addFail(e.Name, "correct or remove that file",
			"it starts no container, because it cannot read %s: %v", b.File, b.Err)
	}
	for _, m := range e.Missing {
		r.addFail(e.Name, e.installText(), "%s names %s, which is no program: no container that uses it starts", m.File,
			m.Program)
		return
	}
	for _, h := range e.Hooks {
		if missing := missingStages(h.Stages); missing != "" {
			r.addFail(e.Name, `set its stages to ["createRuntime", "poststop"]`, "%s has no stage %s", h.File, missing)
			return
		}
	}
	switch {
	case len(e.Unread) > 0 && len(e.Hooks) == 0:
		r.addWarn(e.Name, e.installText(), "%s is ignored: %s reads %s only if hooks_dir or --hooks-dir names it",
			e.Unread[0], e.Name, filepath.Dir(e.Unread[0]))
	case len(e.Files) > 0:
		r.addPass(e.Name, "configured by %s", strings.Join(e.Files, ", "))
	case e.Name == containerd:
		r.addPass(e.Name, UnconfiguredContainerd)
	default:
		r.addWarn(e.Name, e.installText(), "its configuration does not name berth-hook, so it ignores berth's annotations")
	}
}

// UnconfiguredContainerd is the message of a containerd whose configuration does not name berth-hook.
// It is no warning, because docker, nerdctl and ctr do not need that, and most containerds serve docker.
const UnconfiguredContainerd = "ctr, nerdctl and docker need nothing in its configuration; for Kubernetes see " +
	"docs/engines/kubernetes.md"

// installText returns a text on how to make the engine run berth-hook.
func (e Engine) installText() string {
	return commandText("berth install --engine %s", strings.ReplaceAll(strings.ToLower(e.Name), "-", ""))
}

// missingStages returns the missing stage, without which a hook does half of its work, or "".
func missingStages(stages []string) string {
	switch {
	case !slices.Contains(stages, "createRuntime") && !slices.Contains(stages, "prestart"):
		return "createRuntime"
	case !slices.Contains(stages, "poststop"):
		return "poststop"
	}
	return ""
}
