// Command berthd is the agent: it counts the traffic of berth's interfaces at their
// parents, finds violations of their mode, and serves both.
package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"berth/agent/daemon"
	"berth/agent/ground"
	"berth/internal/config"
	"berth/internal/service"
)

// version is set by the linker.
var version = "devel"

const usage = `berthd is berth's agent. It counts the traffic of berth's interfaces at their
parents, reports violations of their mode, and serves both until SIGTERM. SIGHUP
reloads berth.toml and networks.d.

Usage:
  berthd [flags]
`

func main() { os.Exit(runProgram(os.Args[1:])) }

func runProgram(args []string) int {
	p := service.New("berthd", version, usage)
	o := daemon.Options{Version: version}
	p.Flags.StringVar(&o.Metrics, "metrics", "127.0.0.1:9477", "`ADDRESS` that serves Prometheus metrics; empty for none")
	return p.Main(args, nil, func(log *slog.Logger) error {
		o.Dirs, o.Log = p.Dirs, log
		return serveAgent(o)
	})
}

// gcPercent is the growth of the heap between two collections. The heap is small and lives
// long, and the host needs its memory: with 10,000 endpoints, 10 instead of 30 is 1 to 2 MB
// less, for a tenth of a second more of CPU at the start. GOGC in the environment takes
// precedence.
const gcPercent = 10

func serveAgent(o daemon.Options) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	c, err := config.Load(o.Dirs.Config)
	if err != nil {
		return err
	}
	var more []int
	if c.Agent.SocketGroup != "" {
		more = append(more, unix.CAP_CHOWN) // to give the socket to the group
	}
	if err := ground.Confine(more...); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	reload := make(chan os.Signal, 1)
	signal.Notify(reload, unix.SIGHUP)
	o.Reload = reload
	return daemon.Run(ctx, o)
}
