// Package doctor tells which container engines are here, which of them know
// berth, and, where asked, whether a container's annotations arrive at the hook.
//
// It changes nothing on the host but for the containers that it tries with,
// and those get no interface: they ask for something that the hook has to
// refuse. What an installation looks like, engine/install knows; what the lines
// mean, package check.
package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/check"
	"berth/engine/install"
	"berth/internal/config"
)

// Doctor looks at the engines of a host.
type Doctor struct {
	Check *check.Checker
	Dirs  config.Dirs
	Bin   string   // directory of berth's programs
	Root  string   // below which files of the system are; "": /
	Path  []string // directories of the engines' programs

	Version func(program string) (install.Version, error) // nil: runs it with --version
	Run     Runner                                        // nil: runs the engines
}

// engine is one that may be here.
type engine struct {
	name    string   // as install knows it
	shown   string   // as berth check names it
	program string   // by which it is known to be here
	least   [2]int   // version that has all that berth needs, or the oldest that it was tested with
	lacks   string   // what older ones have not; "": they were not tested
	try     tryMaker // how a container is started; nil: not from here
	free    string   // how it is used without an installation; "" if it needs one
}

var engines = []engine{
	{install.Podman, "podman", "podman", [2]int{4, 3}, "", tryPodman, ""},
	{install.Docker, "docker", "dockerd", [2]int{24, 0}, "--annotation", tryDocker, ""},
	{install.Containerd, "containerd", "containerd", [2]int{1, 6}, "", tryContainerd,
		"ctr needs nothing: ctr run --runc-binary %s …; for Kubernetes: berth install --engine containerd, or --engine nri"},
	{install.Nerdctl, "nerdctl", "nerdctl", [2]int{2, 0}, "--annotation", tryNerdctl,
		"it needs nothing: nerdctl run --runtime %s …; for devices: berth install --engine nerdctl"},
	{install.CRIO, "CRI-O", "crio", [2]int{1, 18}, "crio.conf.d", nil, ""},
}

// beside are ways into several engines, which have no program of their own.
var beside = []string{install.CDI, install.NRI}

// Engines are the names of what is looked for.
func Engines() (names []string) {
	for _, e := range engines {
		names = append(names, e.name)
	}
	return append(names, beside...)
}

// Look tells of each engine that is here, or of those that are named, what it
// is, and whether it knows berth.
func (d *Doctor) Look(named []string) []check.Line {
	lines := []check.Line{d.programs()}
	told := d.Check.Engines()
	here := 0
	for _, e := range engines {
		if len(named) > 0 && !slices.Contains(named, e.name) {
			continue
		}
		path := d.find(e.program)
		if path == "" {
			if len(named) > 0 {
				lines = append(lines, line(e.name, "version", check.Fail, "install it, or look at PATH", "%s is not here", e.program))
			}
			continue
		}
		here++
		lines = append(lines, d.version(e, path), d.told(e, told))
	}
	if here == 0 && len(named) == 0 {
		lines = append(lines, line("host", "engines", check.Warn, "install podman, docker, containerd with nerdctl, or CRI-O", "none found"))
	}
	for _, name := range beside {
		asked := slices.Contains(named, name)
		if l, ok := d.installed(name, name); ok && (asked || len(named) == 0) {
			lines = append(lines, l)
		} else if asked {
			lines = append(lines, notInstalled(name))
		}
	}
	return lines
}

func notInstalled(name string) check.Line {
	return line(name, "told", check.Warn, "`berth install --engine "+name+"`", "nothing is installed for it")
}

func line(subject, name string, result check.Result, remedy, format string, args ...any) check.Line {
	return check.Line{Subject: subject, Check: name, Result: result, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// programs looks for those of berth's that engines run.
func (d *Doctor) programs() check.Line {
	var there, missing []string
	for _, name := range []string{"berth-hook", "berth-runtime", "berth-nri"} {
		if info, err := os.Stat(filepath.Join(d.Bin, name)); err == nil && info.Mode()&0o111 != 0 {
			there = append(there, name)
		} else {
			missing = append(missing, name)
		}
	}
	switch {
	case slices.Contains(missing, "berth-hook"):
		return line("berth", "programs", check.Fail, "put them beside berth", "%s: no %s", d.Bin, strings.Join(missing, ", "))
	case len(missing) > 0:
		return line("berth", "programs", check.Warn, "put them beside berth, if an engine is to run them", "%s: no %s", d.Bin, strings.Join(missing, ", "))
	}
	return line("berth", "programs", check.Pass, "", "%s: %s", d.Bin, strings.Join(there, ", "))
}

func (d *Doctor) find(program string) string {
	for _, dir := range d.Path {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func (d *Doctor) version(e engine, path string) check.Line {
	ask := d.Version
	if ask == nil {
		ask = install.AskVersion
	}
	v, err := ask(path)
	switch {
	case err != nil:
		return line(e.name, "version", check.Warn, "`"+path+" --version`", "%v", err)
	case !v.AtLeast(e.least[0], e.least[1]) && e.lacks == "":
		return line(e.name, "version", check.Warn, "", "%s: berth was not tested with any before %d.%d", v.Text, e.least[0], e.least[1])
	case !v.AtLeast(e.least[0], e.least[1]):
		return line(e.name, "version", check.Warn, "install a newer one", "%s is older than %d.%d, which has %s", v.Text, e.least[0], e.least[1], e.lacks)
	}
	return line(e.name, "version", check.Pass, "", "%s, %s", v.Text, path)
}

// told says whether an engine's configuration names berth: by an installation,
// else by whatever berth check finds.
func (d *Doctor) told(e engine, found []check.Line) check.Line {
	if l, ok := d.installed(e.name, e.name); ok {
		return l
	}
	for _, l := range found {
		if l.Check == e.shown && (l.Result != check.Warn || e.free == "") {
			l.Subject, l.Check = e.name, "told"
			return l
		}
	}
	if e.free != "" {
		return line(e.name, "told", check.Pass, "", e.free, filepath.Join(d.Bin, "berth-runtime"))
	}
	return notInstalled(e.name)
}

// installed compares an installation with what lies there now; false: there is
// none.
func (d *Doctor) installed(name, subject string) (check.Line, bool) {
	p, err := install.Again(install.Options{Engine: name, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path, Version: d.Version})
	if errors.Is(err, install.ErrNotInstalled) {
		return check.Line{}, false
	}
	if errors.Is(err, fs.ErrPermission) {
		return line(subject, "told", check.Warn, "run it as root", "not looked at: %v", err), true
	}
	if err != nil {
		return line(subject, "told", check.Fail, "mend that, then `berth install --engine "+name+"`", "%v", err), true
	}
	var paths []string
	for _, f := range p.Changed() {
		paths = append(paths, f.Path)
	}
	if len(paths) > 0 {
		return line(subject, "told", check.Warn, "`"+p.Command()+"`", "no longer as installed: %s", strings.Join(paths, ", ")), true
	}
	return line(subject, "told", check.Pass, "", "as installed: %s", p.Command()), true
}
