// Package doctor reports which container engines are installed, which of them use berth,
// and, on request, whether a container's annotations arrive at the hook.
//
// [Doctor] examines the engines, and tries them.
//
// It changes nothing on the host except for its trial containers, and those get no
// interface: the hook must refuse their request. Package engine/install defines an
// installation, package check the lines.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/check"
	"berth/engine/install"
	"berth/engine/program"
	"berth/internal/config"
	"berth/internal/engineversion"
)

// Doctor examines the engines of a host.
type Doctor struct {
	Check *check.Checker
	Dirs  config.Dirs
	Bin   string   // directory of berth's programs
	Root  string   // root directory of the system's files; "" for /
	Path  []string // directories of the engines' programs

	Version func(program string) (engineversion.Version, error) // runs the program if nil
	Run     Runner                                              // runs the engines if nil
}

// engine is an engine that may be installed.
type engine struct {
	name    string   // its name in install
	shown   string   // its name in berth check
	program string   // which identifies it
	least   [2]int   // version with all that berth needs, or the oldest tested one
	lacks   string   // feature missing in older ones; "" if they were not tested
	try     tryMaker // how a container is started; nil if it cannot be from here
	free    string   // how it is used without an installation; "" if it needs one
	door    *door    // its own networks; nil if none can be berth's
	devices string   // the remedy if it finds no device; "" if devices are not tried
	pods    string   // its name as a runtime of pods; "" if it is none
}

var engines = []engine{
	{install.Podman, "podman", "podman", [2]int{4, 3}, "", tryPodman, "", &door{requestPodman,
		"with podman 4.5 and netavark 1.6 or newer, `berth install --engine podman`"},
		"use annotations, or install podman 4.1 or newer", ""},
	{install.Docker, "docker", "dockerd", [2]int{24, 0}, "--annotation", tryDocker, "", &door{requestDocker,
		"`berth install --engine docker` and then `systemctl enable --now berth-docker.socket`"},
		"set {\"features\": {\"cdi\": true}} in daemon.json, or install docker 28.3", ""},
	{install.Containerd, "containerd", "containerd", [2]int{1, 6}, "", tryContainerd,
		"ctr needs no configuration: ctr run --runc-binary %s …; for Kubernetes: berth install --engine containerd, or " +
			"--engine nri", nil, "use annotations", "containerd"},
	{install.Nerdctl, "nerdctl", "nerdctl", [2]int{2, 0}, "--annotation", tryNerdctl,
		"it needs no configuration for annotations: nerdctl run --runtime %s …; for nerdctl run --net NETWORK, and for " +
			"devices: berth install --engine nerdctl",
		&door{requestNerdctl, "`berth install --engine nerdctl`"}, "use annotations, or install nerdctl 2.1 or newer", ""},
	{install.CRIO, "CRI-O", "crio", [2]int{1, 18}, "crio.conf.d", nil, "", nil, "", "cri-o"},
}

// beside lists installations for several engines, which have no program of their own.
var beside = []string{install.CDI, install.NRI}

// Engines returns the names of the engines searched for.
func Engines() (names []string) {
	for _, e := range engines {
		names = append(names, e.name)
	}
	return append(names, beside...)
}

// Examine reports for each installed engine, or for the named ones, its version, and whether
// it uses berth.
func (d *Doctor) Examine(named []string) []check.Line {
	lines := []check.Line{d.checkPrograms(), d.checkResident()}
	configured := d.Check.Engines()
	here := 0
	for _, e := range engines {
		if len(named) > 0 && !slices.Contains(named, e.name) {
			continue
		}
		path := d.findProgram(e.program)
		if path == "" {
			if len(named) > 0 {
				lines = append(lines, newLine(e.name, "version", check.Fail, "install it, or correct PATH",
					"%s is not on PATH", e.program))
			}
			continue
		}
		here++
		lines = append(lines, d.checkVersion(e, path), d.checkConfiguration(e, configured))
		if e.name == install.Docker {
			lines = append(lines, d.Check.DriverOfDocker(context.Background(), e.name)...)
		}
	}
	if here == 0 && len(named) == 0 {
		lines = append(lines, newLine("host", "engines", check.Warn,
			"install podman, docker, containerd with nerdctl, or CRI-O", "no engine was found"))
	}
	for _, name := range beside {
		asked := slices.Contains(named, name)
		if l, ok := d.checkInstalled(name, name); ok && (asked || len(named) == 0) {
			lines = append(lines, l)
		} else if asked {
			lines = append(lines, notInstalled(name))
		}
	}
	return lines
}

func notInstalled(name string) check.Line {
	return newLine(name, "configured", check.Warn, "`berth install --engine "+name+"`", "it is not configured for berth")
}

func newLine(subject, name string, result check.Result, remedy, format string, args ...any) check.Line {
	return check.Line{Subject: subject, Check: name, Result: result, Message: fmt.Sprintf(format, args...), Remedy: remedy}
}

// checkPrograms checks for berth's programs that engines run.
func (d *Doctor) checkPrograms() check.Line {
	var there, missing []string
	for _, name := range []string{"berth-hook", "berth-runtime", "berth-nri", "berth-netavark", "berth-docker"} {
		if info, err := os.Stat(filepath.Join(d.Bin, name)); err == nil && info.Mode()&0o111 != 0 {
			there = append(there, name)
		} else {
			missing = append(missing, name)
		}
	}
	switch {
	case slices.Contains(missing, "berth-hook"):
		return newLine("berth", "programs", check.Fail, "put them into the directory of berth", "%s: missing: %s", d.Bin,
			strings.Join(missing, ", "))
	case len(missing) > 0:
		return newLine("berth", "programs", check.Warn, "put them into the directory of berth if an engine needs them",
			"%s: missing: %s", d.Bin, strings.Join(missing, ", "))
	}
	return newLine("berth", "programs", check.Pass, "", "%s: %s", d.Bin, strings.Join(there, ", "))
}

func (d *Doctor) findProgram(program string) string {
	for _, dir := range d.Path {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

func (d *Doctor) checkVersion(e engine, path string) check.Line {
	ask := d.Version
	if ask == nil {
		ask = install.AskVersion
	}
	v, err := ask(path)
	switch {
	case err != nil:
		return newLine(e.name, "version", check.Warn, "`"+path+" --version`", "%v", err)
	case !v.AtLeast(e.least[0], e.least[1]) && e.lacks == "":
		return newLine(e.name, "version", check.Warn, "", "%s: berth is not tested with versions before %d.%d", v.Text,
			e.least[0], e.least[1])
	case !v.AtLeast(e.least[0], e.least[1]):
		return newLine(e.name, "version", check.Warn, fmt.Sprintf("install %d.%d or newer", e.least[0], e.least[1]),
			"%s is older than %d.%d, which introduced %s", v.Text, e.least[0], e.least[1], e.lacks)
	}
	return newLine(e.name, "version", check.Pass, "", "%s, %s", v.Text, path)
}

// checkConfiguration reports whether an engine's configuration names berth: by an installation, else by
// the findings of berth check.
func (d *Doctor) checkConfiguration(e engine, found []check.Line) check.Line {
	if l, ok := d.checkInstalled(e.name, e.name); ok {
		return l
	}
	for _, l := range found {
		if l.Check == e.shown && l.Message != check.UnconfiguredContainerd && (l.Result != check.Warn || e.free == "") {
			l.Subject, l.Check = e.name, "configured"
			return l
		}
	}
	if e.free != "" {
		return newLine(e.name, "configured", check.Pass, "", e.free, install.ShellWord(filepath.Join(d.Bin, "berth-runtime")))
	}
	return notInstalled(e.name)
}

// checkInstalled compares an installation with the present files; it returns false if there is
// none.
func (d *Doctor) checkInstalled(name, subject string) (check.Line, bool) {
	p, err := install.Repeat(install.Options{Engine: name, Dirs: d.Dirs, Bin: d.Bin, Root: d.Root, Path: d.Path,
		Version: d.Version})
	if errors.Is(err, install.ErrNotInstalled) {
		return check.Line{}, false
	}
	if errors.Is(err, fs.ErrPermission) {
		return newLine(subject, "configured", check.Warn, "run it as root", "not checked: %v", err), true
	}
	if err != nil {
		return newLine(subject, "configured", check.Fail,
			"correct this, then run `berth install --engine "+name+"`", "%v", err), true
	}
	var paths []string
	moves := false
	for _, f := range p.Changed() {
		if f.MovesToClient() {
			moves = true
		} else {
			paths = append(paths, f.Path)
		}
	}
	if len(paths) > 0 {
		return newLine(subject, "configured", check.Warn, "`"+p.Command()+"`", "changed since the installation: %s",
			strings.Join(paths, ", ")), true
	}
	if moves {
		return newLine(subject, "configured", check.Pass, "`"+p.Command()+"`", "as installed, with %s; %s starts faster, "+
			"and is used after another installation", program.Hook, program.Client), true
	}
	return newLine(subject, "configured", check.Pass, "", "as installed: %s", p.Command()), true
}
