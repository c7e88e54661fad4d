// Command berth-nri attaches Kubernetes pods: it is berth's NRI plugin, for containerd and
// CRI-O. It runs as a service beside the runtime, or the runtime starts it as NN-berth from
// its directory of plugins.
package main

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/containerd/nri/pkg/api"
	"golang.org/x/sys/unix"

	"berth/engine/nri"
	"berth/internal/service"
	"berth/internal/state"
	"berth/network"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-nri is berth's NRI plugin for containerd and CRI-O. It attaches pods of
Kubernetes to the networks in their annotations, until SIGTERM. It runs as a
service beside the container runtime, or the runtime starts it.

Usage:
  berth-nri [flags]
`

func main() { os.Exit(runProgram(os.Args[1:])) }

func runProgram(args []string) int {
	p := service.New("berth-nri", version, usage)
	var options nri.Options
	p.Flags.StringVar(&options.Socket, "socket", api.DefaultSocketPath, "NRI `SOCKET` of the container runtime")
	p.Flags.StringVar(&options.Index, "index", "10", "position among the runtime's plugins, two `DIGITS`")
	validate := func() error { return checkIndex(options.Index) }
	return p.Main(args, validate, func(log *slog.Logger) error {
		return servePlugin(&nri.Plugin{Dirs: p.Dirs, Store: state.Open(p.Dirs.State), Log: log}, options)
	})
}

func checkIndex(index string) error {
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
	if err := network.UnlockSysctls(); err != nil {
		return err
	}
	ctx, stop := service.UntilSignal()
	defer stop()
	if nri.Launched() {
		return p.ServeLaunched(ctx)
	}
	return p.Serve(ctx, options)
}
