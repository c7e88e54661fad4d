// Command berth-hook is the OCI hook: createRuntime, prestart and poststop. It reads the
// container's state from standard input and nothing from its environment, except the
// settings of Go's runtime.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"

	"berth/hook"
	"berth/internal/config"
	_ "berth/internal/onestack"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-hook is berth's OCI hook. createRuntime and prestart attach a container to
the networks in its annotations; poststop releases it. An OCI runtime starts it,
with the container's state on standard input. By default the state names the
stage. berth-hook serve does the same at the requests of berth-hook-client.

Usage:
  berth-hook [flags] [createRuntime|prestart|poststop]
  berth-hook serve [flags]
`

func main() {
	// A run takes milliseconds: garbage collection would take most of its time. The entries in
	// the engines' files set GOMAXPROCS=1. A call of runtime.GOMAXPROCS is no substitute: it
	// touches 30 to 60 pages, more than it saves.
	debug.SetGCPercent(-1)
	var first string
	if len(os.Args) > 1 {
		first = os.Args[1]
	}
	switch first {
	case unlinkStage:
		os.Exit(runUnlink(os.Args[2:]))
	case hook.ProberStage:
		os.Exit(runAhead(os.Args[2:]))
	case serveStage:
		os.Exit(runServe(os.Args[2:]))
	case reportStage:
		os.Exit(runReport(os.Args[2:]))
	}
	os.Exit(runProgram(os.Args[1:]))
}

func runProgram(args []string) int {
	var r run
	if status, ok := config.ParseFlags(r.flags(), args, usage); !ok {
		return status
	}
	if r.printsVersion {
		os.Stdout.WriteString("berth-hook " + version + "\n")
		return 0
	}
	if err := r.readStage(); err != nil {
		fmt.Fprintln(os.Stderr, "berth-hook:", err)
		return 2
	}
	// The working directory is the bundle: leave it, so that no relative path leads to a
	// place that the container controls.
	if err := os.Chdir("/"); err != nil {
		fmt.Fprintln(os.Stderr, "berth-hook:", err)
		return 1
	}
	unix.Umask(0o077)
	r.Interruptible, r.Unlink = untilSignal, startUnlink
	r.StartProber = hook.StartProber("/proc/self/exe", r.Dirs)
	err := r.handleState(os.Stdin, os.Getpid())
	if err != nil {
		reportError(err)
	}
	return r.status(err)
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
