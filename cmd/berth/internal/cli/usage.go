package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"berth/specs"
)

// usageError is an invalid command line: exit code 2.
type usageError struct {
	command string // such as "berth network create"
	err     error
}

func (e *usageError) Error() string { return e.command + ": " + e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

func asUsageError(cmd *cobra.Command, err error) error {
	return &usageError{command: cmd.CommandPath(), err: err}
}

// commandGroup returns a command that only has subcommands.
func commandGroup(name, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: cobra.ArbitraryArgs,
		SuggestionsMinimumDistance: 2,
		// A misspelt command may have flags of the intended one.
		FParseErrWhitelist: cobra.FParseErrWhitelist{UnknownFlags: true},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				cmd.SetOut(cmd.ErrOrStderr())
				return asUsageError(cmd, errors.Join(errors.New("the command is missing"), cmd.Help()))
			}
			return asUsageError(cmd, unknownCommand(cmd, args[0]))
		},
	}
	cmd.AddCommand(below...)
	return cmd
}

func unknownCommand(cmd *cobra.Command, name string) error {
	if near := cmd.SuggestionsFor(name); len(near) > 0 {
		return fmt.Errorf("unknown command %q; did you mean %s?", name, strings.Join(near, " or "))
	}
	return fmt.Errorf("unknown command %q", name)
}

// newHelp returns cobra's help command, with an error for an unknown topic.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: "show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err == nil && about.HasSubCommands() && len(rest) > 0 {
				err = unknownCommand(about, rest[0])
			}
			if err != nil {
				return asUsageError(cmd, err)
			}
			return about.Help()
		},
	}
}

// argumentCount returns a check of the number of arguments; a most of 0 means any number.
func argumentCount(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least {
			return asUsageError(cmd, fmt.Errorf("%s is missing", what))
		}
		if most > 0 && len(args) > most {
			return asUsageError(cmd, fmt.Errorf("unexpected argument %q", args[most]))
		}
		return nil
	}
}

// networkNames is arguments that also checks names of networks: the first argument, or all
// if any number is allowed.
func networkNames(least, most int, what string) cobra.PositionalArgs {
	number := argumentCount(least, most, what)
	return func(cmd *cobra.Command, args []string) error {
		if err := number(cmd, args); err != nil {
			return err
		}
		names := args
		if most > 0 {
			names = args[:1]
		}
		for _, name := range names {
			if err := specs.CheckNetworkName(name); err != nil {
				return asUsageError(cmd, specs.At("network", err))
			}
		}
		return nil
	}
}

// flagError adds to an error: for a value of a wrong type the expected type, for one of
// docker's flags the reason of its refusal, and for an unknown flag the nearest one.
func flagError(cmd *cobra.Command, err error) error {
	want := map[string]string{"int": "a whole number", "duration": "a duration, as 5s", "bool": "true or false"}
	var bad *pflag.InvalidValueError
	if errors.As(err, &bad) && want[bad.GetFlag().Value.Type()] != "" {
		err = specs.Invalid("--"+bad.GetFlag().Name, bad.GetValue(), "%s", want[bad.GetFlag().Value.Type()])
	}
	if bad != nil {
		if why, ok := bad.GetFlag().Value.(refused); ok {
			err = fmt.Errorf("--%s: %s", bad.GetFlag().Name, string(why))
		}
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && unknown.GetSpecifiedShortnames() == "" {
		err = unknownFlag(cmd, unknown.GetSpecifiedName())
	}
	return asUsageError(cmd, err)
}

// noArguments refuses every argument.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return asUsageError(cmd, fmt.Errorf("unexpected argument %q; the command takes none", args[0]))
	}
	return nil
}
