// Command berth-docker is berth's driver of docker's networks and of their addresses. systemd
// starts it at docker's first call, and docker finds it by its socket.
package main

import (
	"context"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"berth/engine/docker"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/service"
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

func main() { os.Exit(runProgram(os.Args[1:])) }

func runProgram(args []string) int {
	p := service.New("berth-docker", version, usage)
	socket := p.Flags.String("socket", docker.DefaultSocket, "`PATH` of the socket, if systemd passes none")
	networks := p.Flags.String("networks", docker.DefaultNetworks,
		"`DIR` of the networks that docker created in the driver")
	return p.Main(args, nil, func(log *slog.Logger) error {
		return serveDocker(p.Dirs, *socket, *networks, log)
	})
}

func serveDocker(dirs config.Dirs, socket, networks string, log *slog.Logger) error {
	unix.Umask(0o077)
	l, err := docker.Listen(socket)
	if err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	ctx, stop := service.UntilSignal()
	defer stop()
	store := state.Open(dirs.State)
	newHook := func() *hook.Hook {
		return &hook.Hook{Dirs: dirs, Store: store, Log: log, StartProber: probeAhead(dirs, store, log)}
	}
	s := &docker.Server{
		Dirs: dirs, Networks: docker.Networks{Dir: networks}, Store: store, NewHook: newHook, Log: log,
		Allow: func(of specs.Selection) error { return newHook().Allow(of) },
	}
	return s.Serve(ctx, l)
}

// probeAhead returns a function that probes for the addresses of the next containers beside
// docker's calls.
func probeAhead(dirs config.Dirs, store *state.Store, log *slog.Logger) func([]hook.ProbeRequest) error {
	return func(all []hook.ProbeRequest) error {
		go func() {
			h := &hook.Hook{Dirs: dirs, Store: store, Log: log}
			if err := h.ProbeAhead(context.Background(), all); err != nil {
				log.Debug("probe ahead", "error", err)
			}
		}()
		return nil
	}
}
