package config

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

// ParseFlags parses the arguments of a program. If ok is false, the program exits with the
// status: 0 after --help, which prints the introduction and the flags, or 2 after an error.
func ParseFlags(flags *flag.FlagSet, args []string, introduction string) (status int, ok bool) {
	flags.SetOutput(io.Discard)
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(introduction, "\nFlags:\n")
		flags.VisitAll(printFlag)
		return 0, false
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\nSee '%[1]s --help'.\n", flags.Name(), err)
		return 2, false
	}
	return 0, true
}

func printFlag(f *flag.Flag) {
	value, text := flag.UnquoteUsage(f)
	name := "--" + f.Name
	if value != "" {
		name += " " + value
	}
	if f.DefValue != "" && f.DefValue != "false" {
		name += fmt.Sprintf(" (default %q)", f.DefValue)
	}
	fmt.Printf("  %s\n        %s\n", name, text)
}
