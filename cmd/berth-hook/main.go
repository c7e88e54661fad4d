// Command berth-hook is the OCI hook: createRuntime, prestart and poststop. It reads the
// container's state from standard input and nothing from its environment, except the
// settings of Go's runtime.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"berth/hook"
	"berth/internal/config"
	_ "berth/internal/onestack"
	"berth/internal/state"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-hook is berth's OCI hook. createRuntime and prestart attach a container to
the networks in its annotations; poststop releases it. An OCI runtime starts it,
with the container's state on standard input. By default the state names the
stage.

Usage:
  berth-hook [flags] [createRuntime|prestart|poststop]
`

func main() {
	// A run takes milliseconds: garbage collection would take most of its time. The entries in
	// the engines' files set GOMAXPROCS=1. A call of runtime.GOMAXPROCS is no substitute: it
	// touches 30 to 60 pages, more than it saves.
	debug.SetGCPercent(-1)
	if len(os.Args) > 1 && os.Args[1] == unlinkStage {
		os.Exit(runUnlink(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == hook.ProberStage {
		os.Exit(runAhead(os.Args[2:]))
	}
	os.Exit(runProgram(os.Args[1:]))
}

func runProgram(args []string) int {
	var dirs config.Dirs
	flags := flag.NewFlagSet("berth-hook", flag.ContinueOnError)
	dirs.Flags(flags)
	timeout := hook.Timeout
	flags.Func("timeout", "`TIME` after which a run is stopped and undone (default \""+hook.Timeout.String()+"\")",
		func(text string) (err error) { timeout, err = parseTimeout(text); return err })
	var networks []string
	flags.Func("network", "`NAME` of a network to attach, besides the annotations; may be repeated",
		func(name string) error {
			networks = append(networks, name)
			return nil
		})
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, usage); !ok {
		return status
	}
	if *showVersion {
		os.Stdout.WriteString("berth-hook " + version + "\n")
		return 0
	}
	stages := []string{hook.CreateRuntime, hook.Prestart, hook.Poststop}
	stage := flags.Arg(0)
	if flags.NArg() > 1 || stage != "" && !slices.Contains(stages, stage) {
		fmt.Fprintf(os.Stderr, "berth-hook: arguments %q: want at most one stage, of %q\n", flags.Args(), stages)
		return 2
	}
	return runHook(hook.Hook{Dirs: dirs, Networks: networks}, stage, timeout)
}

// parseTimeout parses a duration after which a run must end.
func parseTimeout(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, errors.New("want a duration with its unit, more than 0, as 20s or 500ms")
	}
	return d, nil
}

func runHook(h hook.Hook, stage string, timeout time.Duration) int {
	// The working directory is the bundle: leave it, so that no relative path leads to a
	// place that the container controls.
	if err := os.Chdir("/"); err != nil {
		fmt.Fprintln(os.Stderr, "berth-hook:", err)
		return 1
	}
	unix.Umask(0o077)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	h.Store, h.Interruptible, h.Unlink = state.Open(h.Dirs.State), untilSignal, startUnlink
	h.StartProber = hook.StartProber("/proc/self/exe", h.Dirs)
	log, closeLog := hook.OpenLog(h.Store)
	defer closeLog()
	h.Log = log
	err := h.Run(ctx, stage, os.Stdin)
	if err == nil {
		return 0
	}
	log.Error("berth-hook", "stage", stage, "error", err)
	reportError(err)
	if h.Stopping() {
		return 0 // a failing poststop would cause an error for a container that is gone already
	}
	return 1
}

// signalsAfter is the time after which an attach handles signals. Most have ended before.
const signalsAfter = 20 * time.Millisecond

// untilSignal returns a context that ends with a signal, so that an attach is undone. Go's runtime
// needs threads for it, ten of the pages that a run touches, so it begins only if an attach takes
// longer, as one that waits does. An earlier signal ends the process as SIGKILL does, and the next
// run, or the agent, undoes the attach. A release that dies is continued by the next run in any case.
func untilSignal(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancelCause(ctx)
	time.AfterFunc(signalsAfter, func() { // until the process exits
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, unix.SIGTERM, unix.SIGINT, unix.SIGHUP)
		cancel(fmt.Errorf("signal: %s", <-signals))
	})
	return ctx
}
