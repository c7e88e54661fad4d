package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"time"

	"berth/hook"
	"berth/internal/state"
)

// A run is one run of the hook: its arguments, and its work, by this process or by the service.
type run struct {
	hook.Hook
	stage         string // "" if the container's state names it
	parsed        *flag.FlagSet
	timeout       time.Duration
	printsVersion bool
}

// flags returns the flags, which set the fields.
func (r *run) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("berth-hook", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	r.parsed = flags
	r.Dirs.Flags(flags)
	r.timeout = hook.Timeout
	flags.Func("timeout", "`TIME` after which a run is stopped and undone (default \""+hook.Timeout.String()+"\")",
		func(text string) (err error) { r.timeout, err = parseTimeout(text); return err })
	flags.Func("network", "`NAME` of a network to attach, besides the annotations; may be repeated",
		func(name string) error {
			r.Networks = append(r.Networks, name)
			return nil
		})
	flags.BoolVar(&r.printsVersion, "version", false, "print the version")
	return flags
}

// parseTimeout parses a duration after which a run must end.
func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("want a duration with its unit, more than 0, as 20s or 500ms")
	}
	return d, nil
}

// readStage takes the stage from the arguments, after the flags have been parsed.
func (r *run) readStage() error {
	stages := []string{hook.CreateRuntime, hook.Prestart, hook.Poststop}
	r.stage = r.parsed.Arg(0)
	if r.parsed.NArg() > 1 || r.stage != "" && !slices.Contains(stages, r.stage) {
		return fmt.Errorf("arguments %q: want at most one stage, of %q", r.parsed.Args(), stages)
	}
	return nil
}

// handleState attaches or releases the container whose state stdin has. pid is that of the process
// which the runtime waits for; it is in the log.
func (r *run) handleState(stdin io.Reader, pid int) error {
	ctx, cancel := context.WithTimeout(context.Background(), r.timeout)
	defer cancel()
	r.Store = state.Open(r.Dirs.State)
	log, closeLog := hook.OpenLog(r.Store, pid)
	defer closeLog()
	r.Log = log
	err := r.Run(ctx, r.stage, stdin)
	if err != nil {
		log.Error("berth-hook", "stage", r.stage, "error", err)
	}
	return err
}

// status returns the exit status for an error: a failing poststop would cause an error for a
// container that is gone already.
func (r *run) status(err error) int {
	if err == nil || r.Stopping() {
		return 0
	}
	return 1
}
