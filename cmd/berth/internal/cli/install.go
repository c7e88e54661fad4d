package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"berth/engine/install"
	"berth/internal/config"
	"berth/internal/state"
)

const installLong = `Configure a container engine for berth, in the engine's own files:

  containerd  a runtime handler for Kubernetes, with berth's annotations
  nerdctl     each network as one of nerdctl's, and a CDI device; kept up to
              date by berth network create and rm
  docker      a runtime in daemon.json, which attaches at start; for docker 28,
              the socket of the driver of networks
  podman      a driver of networks, a file of hooks.d for annotations, and a
              runtime in containers.conf for user namespaces
  crio        a file of hooks.d, and a runtime handler
  cdi         a CDI device for each network, for all engines; kept up to date
              by berth network create and rm
  nri         berth-nri as a plugin of containerd or CRI-O, for Kubernetes

The changes are shown as a diff, and recorded in the directory installed below
the configuration directory, for berth uninstall. Nothing is restarted; the
command to apply the changes is printed. A repeated run changes nothing.`

const installExample = `  berth install --engine podman
  berth install --engine docker --dry-run
  berth install --engine containerd --default \
      --engine-config /etc/site/containerd.toml`

// installFlags are the flags of install and uninstall.
type installFlags struct {
	install.Options
	dryRun bool
}

func newInstall(env *Env) *cobra.Command {
	var o installFlags
	cmd := &cobra.Command{
		Use: "install --engine ENGINE", Short: "configure a container engine for berth", Long: installLong,
		Example: installExample,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.completeOptions(cmd, env); err != nil {
				return err
			}
			return o.runLocked(func() error { return runInstall(env, &o) })
		},
	}
	o.registerFlags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&o.File, "engine-config", "", "the engine's configuration `FILE`, if it is not the default one")
	flags.BoolVar(&o.Default, "default", false, "make berth's the engine's default runtime")
	flags.StringVar(&o.HooksDir, "hooks-dir", "",
		"`DIR` of hooks.d files, for podman and crio (the last that the engine reads)")
	flags.StringVar(&o.CDIDir, "cdi-dir", "", "`DIR` of CDI devices, for cdi and nerdctl (/etc/cdi)")
	return cmd
}

func newUninstall(env *Env) *cobra.Command {
	var o installFlags
	cmd := &cobra.Command{
		Use: "uninstall --engine ENGINE", Short: "undo berth install for an engine",
		Long: "Restore the engine's files to their state before berth install. From a file\n" +
			"that was changed since, only berth's entries are removed. Entries that another\n" +
			"engine's installation needs stay.",
		Example: "  berth uninstall --engine podman\n  berth uninstall --engine docker --dry-run",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.completeOptions(cmd, env); err != nil {
				return err
			}
			return o.runLocked(func() error { return runUninstall(cmd.Context(), env, &o) })
		},
	}
	o.registerFlags(cmd)
	return cmd
}

func (o *installFlags) registerFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.Engine, "engine", "", "one of "+strings.Join(install.Engines(), ", "))
	cmd.Flags().BoolVar(&o.dryRun, "dry-run", false, "show the changes, but do not write them")
	// The flag exists, so there is no error.
	_ = cmd.RegisterFlagCompletionFunc("engine",
		cobra.FixedCompletions(install.Engines(), cobra.ShellCompDirectiveNoFileComp))
}

// completeOptions sets the options that are not on the command line, and validates the rest.
func (o *installFlags) completeOptions(cmd *cobra.Command, env *Env) error {
	if o.Engine == "" {
		return asUsageError(cmd, fmt.Errorf("--engine is missing; give one of %s", strings.Join(install.Engines(), ", ")))
	}
	if err := o.Check(); err != nil {
		return asUsageError(cmd, err)
	}
	if !o.dryRun {
		if err := env.needRoot(cmd.CommandPath()); err != nil {
			return err
		}
	}
	dirs, bin, err := env.absoluteDirs()
	o.Dirs, o.Bin, o.Path = dirs, bin, executablePath()
	return err
}

// runLocked runs an installation while no other one runs. A mere preview does not wait.
func (o *installFlags) runLocked(run func() error) error {
	if o.dryRun {
		return run()
	}
	return install.Locked(o.Dirs.Config, run)
}

// absoluteDirs returns berth's directories and that of its programs for engines: absolute, because
// engines run the hook in another directory.
func (env *Env) absoluteDirs() (dirs config.Dirs, bin string, err error) {
	dirs = env.dirs
	for _, dir := range []*string{&dirs.Config, &dirs.State, &dirs.BPFFS} {
		if *dir, err = filepath.Abs(*dir); err != nil {
			return dirs, "", err
		}
	}
	bin, err = env.programsDir()
	return dirs, bin, err
}

// programsDir returns the directory of berth's programs: this program's.
func (env *Env) programsDir() (string, error) {
	if env.bin != "" {
		return env.bin, nil
	}
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("find the directory of berth's programs: %w", err)
	}
	return filepath.Dir(self), nil
}

func runInstall(env *Env, o *installFlags) error {
	p, err := install.Install(o.Options)
	if err != nil {
		return env.asRoot(err)
	}
	if err := env.showPlan(p); err != nil {
		return err
	}
	changed := len(p.Changed()) > 0
	switch {
	case o.dryRun && changed:
		env.warnf("nothing was written (--dry-run)")
	case !o.dryRun:
		if err := p.Apply(); err != nil {
			return err
		}
		if changed {
			env.warnf("the files before the change are kept in %s", p.Backups())
		}
	}
	if !changed {
		env.warnf("nothing to change for %s", o.Engine)
	}
	return env.printNotes(p, changed)
}

func runUninstall(ctx context.Context, env *Env, o *installFlags) error {
	p, err := install.Uninstall(o.Options)
	if errors.Is(err, install.ErrNotInstalled) {
		env.warnf("%v", err)
		return nil
	}
	if err != nil {
		return env.asRoot(err)
	}
	if err := env.showPlan(p); err != nil {
		return err
	}
	changed := len(p.Changed()) > 0
	if o.dryRun {
		env.warnf("nothing was written (--dry-run)")
	} else if err := p.Remove(); err != nil {
		return err
	}
	if o.Engine == install.Nerdctl {
		env.warnOfNerdctl(ctx)
	}
	return env.printNotes(p, changed)
}

// warnOfNerdctl names the containers that are on networks that nerdctl loses with berth's
// installation: nerdctl fails at their end, because it does not find the network.
func (env *Env) warnOfNerdctl(ctx context.Context) {
	users, err := containersOf(ctx, env, func(a *state.Attachment) bool {
		return a.Door != nil && a.Door.Name == state.DoorCNI
	})
	switch {
	case err != nil:
		env.warnf("the containers on networks of nerdctl are not known: %v", err)
	case len(users) > 0:
		env.warnf("attached by CNI: %s; without this installation, nerdctl can neither restart nor remove such a container; "+
			"remove it first, or run berth install --engine nerdctl again, and then remove it", strings.Join(users, ", "))
	}
}

func (env *Env) showPlan(p *install.Plan) error {
	for _, f := range p.Changed() {
		if _, err := fmt.Fprint(env.Out, f.Diff()); err != nil {
			return err
		}
	}
	return nil
}

func (env *Env) printNotes(p *install.Plan, changed bool) error {
	for _, note := range p.Notes {
		env.warnf("%s", note)
	}
	if advice := p.Advice(); changed && advice != "" {
		env.warnf("%s", advice)
	}
	return nil
}

// refreshDevices updates the CDI devices if they are installed.
func (env *Env) refreshDevices() error {
	dirs, bin, err := env.absoluteDirs()
	if err != nil {
		return err
	}
	if err := install.RefreshDevices(dirs, bin); err != nil {
		return env.asRoot(fmt.Errorf("the CDI devices are not up to date: %w; correct that, then run: berth install "+
			"--engine cdi", err))
	}
	return nil
}
