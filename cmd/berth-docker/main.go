// Command berth-docker is berth's driver of docker's networks and of their addresses. systemd
// starts it at docker's first call, and docker finds it by its socket.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"berth/engine/docker"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
	"berth/specs"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-docker is berth's driver of docker's networks and of their addresses. It
gives a container an interface on a network that was created with the driver
berth, until SIGTERM. systemd starts it with the first call of docker.

Usage:
  berth-docker [flags]
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var dirs config.Dirs
	level := slog.LevelInfo
	flags := flag.NewFlagSet("berth-docker", flag.ContinueOnError)
	dirs.Flags(flags)
	socket := flags.String("socket", docker.DefaultSocket, "`PATH` of the socket, if systemd passes none")
	networks := flags.String("networks", docker.DefaultNetworks,
		"`DIR` of the networks that docker has told the driver of")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "lowest `LEVEL` to log: debug, info, warn or error")
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, usage); !ok {
		return status
	}
	if *showVersion {
		fmt.Println("berth-docker", version)
		return 0
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "berth-docker: unexpected argument %q; the program takes only flags\n", flags.Arg(0))
		return 2
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	if err := serve(dirs, *socket, *networks, log); err != nil {
		fmt.Fprintln(os.Stderr, "berth-docker:", err)
		return 1
	}
	return 0
}

func serve(dirs config.Dirs, socket, networks string, log *slog.Logger) error {
	unix.Umask(0o077)
	l, err := docker.Listen(socket)
	if err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	signal.Ignore(unix.SIGHUP) // there is nothing to reload
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	store := state.Open(dirs.State)
	newHook := func() *hook.Hook {
		return &hook.Hook{Dirs: dirs, Store: store, Log: log, Ahead: probeAhead(dirs, store, log)}
	}
	s := &docker.Server{
		Dirs: dirs, Networks: docker.Networks{Dir: networks}, Store: store, NewHook: newHook, Log: log,
		Allow: func(of specs.Selection) error { return newHook().Allow(of) },
	}
	return s.Serve(ctx, l)
}

// probeAhead returns a function that probes for the addresses of the next containers beside
// docker's calls.
func probeAhead(dirs config.Dirs, store *state.Store, log *slog.Logger) func([]hook.Ahead) error {
	return func(all []hook.Ahead) error {
		go func() {
			h := &hook.Hook{Dirs: dirs, Store: store, Log: log}
			if err := h.ProbeAhead(context.Background(), all); err != nil {
				log.Debug("probe ahead", "error", err)
			}
		}()
		return nil
	}
}
