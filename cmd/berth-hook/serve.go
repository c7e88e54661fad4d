package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"

	"berth/engine/resident"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/service"
	"berth/internal/state"
)

// serveStage is the argument by which the program is a service.
const serveStage = "serve"

const serveUsage = `berth-hook serve attaches and releases containers until SIGTERM, at the requests
of berth-hook-client, which engines run instead of berth-hook. systemd starts it
with the first request. Without it the client runs berth-hook.

Usage:
  berth-hook serve [flags]
`

// runServe is the body of the service.
func runServe(args []string) int {
	debug.SetGCPercent(100) // it lives long
	p := service.New("berth-hook", version, serveUsage)
	return p.Main(args, nil, func(log *slog.Logger) error {
		socket, err := resident.Listen(p.Dirs.State)
		if err != nil {
			return err
		}
		defer socket.Close()
		if err := os.Chdir("/"); err != nil {
			return err
		}
		unix.Umask(0o077)
		ctx, stop := service.UntilSignal()
		defer stop()
		a := attacher{dirs: cleanDirs(p.Dirs), log: log}
		defer a.helpers.Wait()
		s := resident.Server{Do: a.handleRequest, Log: log}
		return s.Serve(ctx, socket)
	})
}

// attacher does the runs of clients. Its methods may be called by several goroutines.
type attacher struct {
	dirs    config.Dirs // of the service; cleaned
	log     *slog.Logger
	helpers sync.WaitGroup // they delete links and probe ahead; each ends within seconds
}

// handleRequest does a run as a process of berth-hook does, with the same arguments. It declines a
// run with arguments that do nothing or are wrong, whose output belongs to the client, and one with
// directories other than the service's own: its unit may hide them, or make them read-only.
func (a *attacher) handleRequest(q resident.Request) resident.Answer {
	var r run
	if r.flags().Parse(q.Args) != nil || r.printsVersion || r.readStage() != nil ||
		cleanDirs(r.Dirs) != a.dirs {
		return resident.Answer{Declined: true}
	}
	r.Interruptible, r.Unlink = q.UntilGone, a.unlink
	r.StartProber = a.probeAhead(r.Dirs)
	err := r.handleState(bytes.NewReader(q.State), q.PID)
	if err != nil {
		a.log.Info("a run failed", "stage", r.stage, "client", q.PID, "error", err)
	} else {
		a.log.Debug("a run succeeded", "stage", r.stage, "client", q.PID)
	}
	return resident.Answer{Err: err, Status: r.status(err)}
}

func cleanDirs(d config.Dirs) config.Dirs {
	return config.Dirs{Config: filepath.Clean(d.Config), State: filepath.Clean(d.State), BPFFS: filepath.Clean(d.BPFFS)}
}

// unlink deletes a link beside the run, which waits for a part of it only (see [hook.Hook]).
func (a *attacher) unlink(nsid int, name string) error {
	a.helpers.Go(func() {
		if err := hook.Unlink(nsid, name); err != nil {
			a.log.Warn("delete an interface", "namespace", nsid, "name", name, "error", err)
		}
	})
	return nil
}

// probeAhead returns a function that probes for the addresses of the next containers beside the runs.
func (a *attacher) probeAhead(dirs config.Dirs) func([]hook.ProbeRequest) error {
	return func(all []hook.ProbeRequest) error {
		a.helpers.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), aheadTimeout)
			defer cancel()
			h := &hook.Hook{Dirs: dirs, Store: state.Open(dirs.State), Log: a.log}
			if err := h.ProbeAhead(ctx, all); err != nil {
				a.log.Info("probe ahead", "error", err)
			}
		})
		return nil
	}
}
