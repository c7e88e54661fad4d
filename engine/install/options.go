package install

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"berth/engine/program"
	"berth/internal/config"
	"berth/internal/engineversion"
	"berth/specs"
)

// The engines.
const (
	Containerd = "containerd"
	Nerdctl    = "nerdctl"
	Docker     = "docker"
	Podman     = "podman"
	CRIO       = "crio"
	CDI        = "cdi"
	NRI        = "nri"
)

// engine describes how berth is installed for an engine.
type engine struct {
	name    string
	program string                  // whose version matters; "" if none
	plan    func(p *planner) error  // adds files and notes
	flags   func(o *Options) string // returns a flag that has no effect for this engine, or ""
	asRoot  bool                    // only root can write its annotations, so they may request addresses
}

var engines = []engine{
	{Containerd, "containerd", planContainerd, unusedFlags(hooksDir, cdiDir), false},
	{Nerdctl, "nerdctl", planNerdctl, unusedFlags(engineConfig, defaultRuntime, hooksDir), true},
	{Docker, "dockerd", planDocker, unusedFlags(hooksDir, cdiDir), true},
	{Podman, "podman", planPodman, unusedFlags(cdiDir), true},
	{CRIO, "crio", planCRIO, unusedFlags(cdiDir), false},
	{CDI, "", planCDI, unusedFlags(engineConfig, defaultRuntime, hooksDir), false},
	{NRI, "", planNRI, unusedFlags(defaultRuntime, hooksDir, cdiDir), false},
}

// Engines returns the names of all engines, in the order of the documentation.
func Engines() (names []string) {
	for _, e := range engines {
		names = append(names, e.name)
	}
	return names
}

// Options are the options of an installation.
type Options struct {
	Engine string
	Flags
	Dirs config.Dirs
	Bin  string   // directory of berth's programs
	Root string   // root directory of all files, berth's configuration too; "" for /
	Path []string // directories of the engines' programs

	// Version returns a program's version; if nil, the program is run with --version.
	Version func(program string) (engineversion.Version, error)
}

// Flags are the options that differ from the usual installation.
type Flags struct {
	File     string `json:"file,omitempty"`      // the engine's configuration; "" for its standard path
	Default  bool   `json:"default,omitempty"`   // berth-runtime for every container, not only for those that name it
	HooksDir string `json:"hooks_dir,omitempty"` // of hooks.d; "" for the engine's
	CDIDir   string `json:"cdi_dir,omitempty"`   // "" for /etc/cdi
}

// Flags that do not apply to every engine.
const (
	engineConfig   = "--engine-config"
	defaultRuntime = "--default"
	hooksDir       = "--hooks-dir"
	cdiDir         = "--cdi-dir"
)

func unusedFlags(flags ...string) func(*Options) string {
	return func(o *Options) string {
		given := map[string]bool{engineConfig: o.File != "", defaultRuntime: o.Default, hooksDir: o.HooksDir != "",
			cdiDir: o.CDIDir != ""}
		for _, flag := range flags {
			if given[flag] {
				return flag
			}
		}
		return ""
	}
}

// Check validates the options themselves. Its errors are specs.ValueErrors of the flags.
func (o *Options) Check() error {
	e, err := findEngine(o.Engine)
	if err != nil {
		return err
	}
	if flag := e.flags(o); flag != "" {
		return &specs.ValueError{Key: flag, Problem: fmt.Sprintf("engine %s does not use this flag", o.Engine)}
	}
	for flag, path := range map[string]string{engineConfig: o.File, hooksDir: o.HooksDir, cdiDir: o.CDIDir} {
		if path != "" && !filepath.IsAbs(path) {
			return specs.Invalid(flag, path, "an absolute path")
		}
	}
	return nil
}

func findEngine(name string) (engine, error) {
	i := slices.IndexFunc(engines, func(e engine) bool { return e.name == name })
	if i < 0 {
		return engine{}, specs.Invalid("--engine", name, "one of %s", strings.Join(Engines(), ", "))
	}
	return engines[i], nil
}

// sysPath returns the path of a system file below Root.
func (o *Options) sysPath(path string) string { return filepath.Join("/", o.Root, path) }

// configHome returns the directory of berth's own configuration.
func (o *Options) configHome() string { return o.sysPath(o.Dirs.Config) }

// lookPath returns the path of a program, or "" if there is none.
func (o *Options) lookPath(program string) string {
	for _, dir := range o.Path {
		path := filepath.Join(dir, program)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path
		}
	}
	return ""
}

// programPath returns the path of one of berth's programs. It must exist, as engines would
// otherwise fail at each container.
func (o *Options) programPath(name string) (string, error) {
	path := filepath.Join(o.Bin, name)
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("find %s beside berth: %w", name, err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "", fmt.Errorf("%q is not a program (mode %s)", path, info.Mode())
	}
	return path, nil
}

// hookPath returns the path of the program that engines run as a hook. berth-hook must exist in any
// case, as its client executes it.
func (o *Options) hookPath() (string, error) {
	path, err := o.programPath(program.Hook)
	if err != nil {
		return "", err
	}
	return program.Beside(path), nil
}

// programExists reports whether a program exists.
func (o *Options) programExists(path string) bool {
	info, err := os.Stat(o.sysPath(path))
	return err == nil && info.Mode().IsRegular()
}
