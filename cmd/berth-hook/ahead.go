package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth/hook"
	"berth/internal/config"
	"berth/internal/state"
)

// aheadStage is the argument of a prober, the process that an attach leaves behind for the
// time of one probe: "ahead CONFIG STATE NETWORK[=ADDRESS,ADDRESS]…". berth-runtime starts
// one when a container is created: "ahead CONFIG STATE /BUNDLE/config.json". It is not part of
// the contract.
const aheadStage = "ahead"

// aheadTimeout bounds a prober: the longest conflict_timeout is 10 s.
const aheadTimeout = 15 * time.Second

// startAhead returns the function that starts a prober. The prober has no standard streams
// and a session of its own, like the process of startUnlink.
func startAhead(dirs config.Dirs) func([]hook.Ahead) error {
	return func(all []hook.Ahead) error {
		args := []string{"berth-hook", aheadStage, dirs.Config, dirs.State}
		for _, each := range all {
			args = append(args, formatAhead(each))
		}
		_, err := syscall.ForkExec("/proc/self/exe", args, &syscall.ProcAttr{
			Dir: "/", Env: []string{}, Files: []uintptr{}, Sys: &syscall.SysProcAttr{Setsid: true},
		})
		return os.NewSyscallError("fork", err)
	}
}

func formatAhead(a hook.Ahead) string {
	text := a.Network
	for i, addr := range a.Taken {
		text += map[bool]string{true: "=", false: ","}[i == 0] + addr.String()
	}
	return text
}

func parseAhead(text string) (a hook.Ahead, err error) {
	name, list, taken := strings.Cut(text, "=")
	a.Network = name
	if !taken {
		return a, nil
	}
	for one := range strings.SplitSeq(list, ",") {
		addr, err := netip.ParseAddr(one)
		if err != nil {
			return a, err
		}
		a.Taken = append(a.Taken, addr)
	}
	return a, nil
}

// runAhead is the body of that process.
func runAhead(args []string) int {
	if len(args) < 3 {
		fmt.Fprintf(os.Stderr, "berth-hook: %s %q: want the directories of configuration and state, and networks\n", aheadStage, args)
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
	var all []hook.Ahead
	for _, text := range args[2:] {
		a, err := parseAhead(text)
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
	log, closeLog := hook.OpenLog(h.Store)
	defer closeLog()
	h.Log = log
	if err := probe(ctx, &h); err != nil {
		log.Info("probe ahead", "error", err)
		return 1
	}
	return 0
}
