package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

// listOptions are the flags of a command that prints a list.
type listOptions struct {
	quiet, json, wide bool
}

func (o *listOptions) registerFlags(cmd *cobra.Command, ids string) {
	flags := cmd.Flags()
	flags.BoolVarP(&o.quiet, "quiet", "q", false, "print only "+ids)
	flags.BoolVar(&o.json, "json", false, "print a JSON array")
	flags.BoolVar(&o.wide, "wide", false, "print one line for each, and shorten nothing")
	flags.BoolVar(&o.wide, "no-trunc", false, "the same as --wide")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if o.quiet && o.json {
			return asUsageError(cmd, errors.New("--quiet and --json exclude each other; give one of them"))
		}
		return nil
	}
}

// tableWidth returns the maximum width of a table.
func (o *listOptions) tableWidth(env *Env) int {
	if o.wide {
		return noLimit
	}
	return env.Width
}
