package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"berth/check"
	"berth/cmd/berth/internal/doctor"
	"berth/specs"
)

const doctorLong = `List the installed container engines with their versions, and check whether each
is configured for berth. If one is not, the command that configures it is shown.

With --try, each engine starts two containers: a plain one, and one with an
annotation that berth-hook refuses. The result shows whether the engine works,
whether annotations arrive, and whether the engine shows the hook's errors. The
second container gets no interface and does not run. The line "networks" shows
whether the engine's own networks can be berth's, the line "devices" whether it
finds a device of CDI, and the line "pods", if crictl is installed, whether the
annotations of Kubernetes' pods arrive: the test requests a network that does
not exist, and berth must refuse it.

Each line is pass, warn or fail, followed by the remedy. The exit status is 1 if
a line is fail.`

func newDoctor(env *Env) *cobra.Command {
	var try, asJSON bool
	cmd := &cobra.Command{
		Use: "doctor [ENGINE...]", Short: "check which engines use berth", Long: doctorLong,
		Example: "  berth doctor\n  berth doctor --try podman\n  berth doctor --json | jq '.[] | select(.result == " +
			"\"fail\")'",
		Args: func(cmd *cobra.Command, args []string) error {
			for _, name := range args {
				if !slices.Contains(doctor.Engines(), name) {
					return asUsageError(cmd, specs.Invalid("engine", name, "one of %s", strings.Join(doctor.Engines(), ", ")))
				}
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			return exclude(doctor.Engines(), args), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if try {
				if err := env.needRoot(cmd.CommandPath() + " --try"); err != nil {
					return err
				}
			}
			return runDoctor(cmd.Context(), env, args, try, asJSON)
		},
	}
	cmd.Flags().BoolVar(&try, "try", false, "start short containers with each engine")
	jsonFlag(cmd, &asJSON)
	return cmd
}

func runDoctor(ctx context.Context, env *Env, engines []string, try, asJSON bool) error {
	dirs, bin, err := env.absoluteDirs()
	if err != nil {
		return err
	}
	path := executablePath()
	d := &doctor.Doctor{Check: &check.Checker{Dirs: dirs, Path: path}, Dirs: dirs, Bin: bin, Path: path}
	lines := d.Examine(engines)
	if try {
		lines = append(lines, d.Try(ctx, engines)...)
		lines = bySubject(lines)
	}
	if asJSON {
		err = writeJSON(env.Out, lines)
	} else {
		err = check.Write(env.Out, lines, env.Width)
	}
	if err == nil && check.Failed(lines) {
		return errPrinted
	}
	return err
}

// bySubject groups lines by subject, in the order in which the subjects appear.
func bySubject(lines []check.Line) []check.Line {
	first := make(map[string]int)
	for i, l := range lines {
		if _, seen := first[l.Subject]; !seen {
			first[l.Subject] = i
		}
	}
	slices.SortStableFunc(lines, func(a, b check.Line) int { return first[a.Subject] - first[b.Subject] })
	return lines
}
