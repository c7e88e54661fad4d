package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
)

// aheadTimeout bounds a prober: the longest conflict_timeout is 10 s.
const aheadTimeout = 15 * time.Second

// runAhead is the body of a prober (see [hook.ProberStage]). berth-runtime starts one when a
// container is created, with the path of a bundle's config.json instead of networks.
func runAhead(args []string) int {
	if len(args) < 3 {
		fmt.Fprintf(os.Stderr, "berth-hook: %s %q: want the directories of configuration and state, and networks\n",
			hook.ProberStage, args)
		return 2
	}
	// It must not keep files open that it inherited, such as a pipe of the engine's.
	if err := unix.CloseRange(3, math.MaxInt32, 0); err != nil {
		fmt.Fprintln(os.Stderr, "berth-hook:", err)
		return 1
	}
	dirs := config.Dirs{Config: cmp.Or(args[0], config.DefaultConfig), State: cmp.Or(args[1], config.DefaultState)}
	if filepath.IsAbs(args[2]) {
		return prober(dirs, func(ctx context.Context, h *hook.Hook) error { return h.ProbeBundle(ctx, args[2]) })
	}
	var all []hook.ProbeRequest
	for _, text := range args[2:] {
		a, err := hook.ParseProbeRequest(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, "berth-hook:", err)
			return 2
		}
		all = append(all, a)
	}
	return prober(dirs, func(ctx context.Context, h *hook.Hook) error { return h.ProbeAhead(ctx, all) })
}

func prober(dirs config.Dirs, probe func(context.Context, *hook.Hook) error) int {
	unix.Umask(0o077)
	ctx, cancel := context.WithTimeout(context.Background(), aheadTimeout)
	defer cancel()
	h := hook.Hook{Dirs: dirs, Store: state.Open(dirs.State)}
	log, closeLog := hook.OpenLog(h.Store, os.Getpid())
	defer closeLog()
	h.Log = log
	if err := probe(ctx, &h); err != nil {
		log.Info("probe ahead", "error", err)
		return 1
	}
	return 0
}
