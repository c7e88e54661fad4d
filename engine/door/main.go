package door

import (
	"context"
	"flag"
	"fmt"
	"os"

	"berth/hook"
	"berth/internal/config"
)

// Program is the program of a door, without its protocol.
type Program struct {
	Name, Version string
	// Usage is the introduction of its help.
	Usage string
	// Check, if set, returns an error for a wrong command line. The error is the whole line
	// to print.
	Check func(arguments []string) error
	// Answer answers the one request, and returns the exit status.
	Answer func(ctx context.Context, h *hook.Hook, arguments []string) int
}

// Main runs the program with the arguments after its name, and returns its exit status.
func (p *Program) Main(args []string) int {
	var dirs config.Dirs
	flags := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	dirs.Flags(flags)
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, p.Usage); !ok {
		return status
	}
	if *showVersion {
		fmt.Println(p.Name, p.Version)
		return 0
	}
	if p.Check != nil {
		if err := p.Check(flags.Args()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 2
		}
	}
	if err := enterRequest(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), hook.Timeout)
	defer cancel()
	h, closeLog := openHook(dirs)
	defer closeLog()
	return p.Answer(ctx, h, flags.Args())
}
