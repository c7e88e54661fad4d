// Command berth-nri attaches Kubernetes pods: it is berth's NRI plugin, for containerd and
// CRI-O. It runs as a service beside the runtime, or the runtime starts it as NN-berth from
// its directory of plugins.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"golang.org/x/sys/unix"

	"berth/engine/nri"
	"berth/internal/config"
	"berth/internal/state"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-nri is berth's NRI plugin for containerd and CRI-O. It attaches pods of
Kubernetes to the networks in their annotations, until SIGTERM. It runs as a
service beside the container runtime, or the runtime starts it.

Usage:
  berth-nri [flags]
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var dirs config.Dirs
	var options nri.Options
	level := slog.LevelInfo
	flags := flag.NewFlagSet("berth-nri", flag.ContinueOnError)
	dirs.Flags(flags)
	flags.StringVar(&options.Socket, "socket", api.DefaultSocketPath, "NRI `SOCKET` of the container runtime")
	flags.StringVar(&options.Index, "index", "10", "position among the runtime's plugins, two `DIGITS`")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "lowest `LEVEL` to log: debug, info, warn or error")
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, usage); !ok {
		return status
	}
	if *showVersion {
		fmt.Println("berth-nri", version)
		return 0
	}
	if err := checkFlags(flags, options.Index); err != nil {
		fmt.Fprintln(os.Stderr, "berth-nri:", err)
		return 2
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	p := &nri.Plugin{Dirs: dirs, Store: state.Open(dirs.State), Log: log}
	if err := servePlugin(p, options); err != nil {
		fmt.Fprintln(os.Stderr, "berth-nri:", err)
		return 1
	}
	return 0
}

func checkFlags(flags *flag.FlagSet, index string) error {
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; the program takes only flags", flags.Arg(0))
	}
	if len(index) != 2 || strings.Trim(index, "0123456789") != "" {
		return fmt.Errorf("--index %q: want two digits", index)
	}
	return nil
}

func servePlugin(p *nri.Plugin, options nri.Options) error {
	if err := os.Chdir("/"); err != nil {
		return err
	}
	unix.Umask(0o077)
	if err := openSysctls(); err != nil {
		return err
	}
	signal.Ignore(unix.SIGHUP) // there is nothing to reload
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if nri.Launched() {
		return p.ServeLaunched(ctx)
	}
	return p.Serve(ctx, options)
}
