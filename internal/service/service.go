// Package service contains the command line that berth's services share: their flags, log,
// exit status and signals. A service runs until SIGTERM.
//
// [New] returns a [Program], to which a service adds its flags; its Main is the main function.
//
// It decides nothing about the work of a service, and starts nothing. It imports
// internal/config.
package service

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"berth/internal/config"
)

// Program is a service. Its flags are those of all services (--config, --state, --bpffs,
// --log-level, --version) and those that the caller adds to Flags.
type Program struct {
	Dirs  config.Dirs
	Flags *flag.FlagSet

	name, version, usage string
	level                slog.Level
	printsVersion        bool
}

// New returns a program with the flags of all services. usage is the text above the flags in
// the output of --help.
func New(name, version, usage string) *Program {
	p := &Program{Flags: flag.NewFlagSet(name, flag.ContinueOnError), name: name, version: version, usage: usage}
	p.Dirs.Flags(p.Flags)
	p.Flags.TextVar(&p.level, "log-level", slog.LevelInfo, "lowest `LEVEL` to log: debug, info, warn or error")
	p.Flags.BoolVar(&p.printsVersion, "version", false, "print the version")
	return p
}

// Main parses the arguments and calls serve. It returns the exit status: 0 after --help,
// --version or serve, 1 if serve failed, or 2 if an argument is wrong. validate checks the
// values of Flags; it may be nil. Errors are printed to standard error, as the log is.
func (p *Program) Main(args []string, validate func() error, serve func(log *slog.Logger) error) int {
	if status, ok := config.ParseFlags(p.Flags, args, p.usage); !ok {
		return status
	}
	if p.printsVersion {
		fmt.Println(p.name, p.version)
		return 0
	}
	if p.Flags.NArg() > 0 {
		return p.fail(2, fmt.Errorf("unexpected argument %q; the program takes only flags", p.Flags.Arg(0)))
	}
	if validate != nil {
		if err := validate(); err != nil {
			return p.fail(2, err)
		}
	}
	if err := serve(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: p.level}))); err != nil {
		return p.fail(1, err)
	}
	return 0
}

func (p *Program) fail(status int, err error) int {
	fmt.Fprintf(os.Stderr, "%s: %v\n", p.name, err)
	return status
}

// UntilSignal returns a context that ends with SIGTERM or SIGINT. It ignores SIGHUP, for
// services that have nothing to reload.
func UntilSignal() (context.Context, context.CancelFunc) {
	signal.Ignore(unix.SIGHUP)
	return signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
}
