package states

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth/agent/daemon"
	"berth/hook"
	"berth/internal/config"
	"berth/internal/hostshim"
	"berth/internal/release"
	"berth/internal/state"
	"berth/internal/testnet"
	"berth/network"
	"berth/specs"
)

// programVar names, in the environment, the program of berth that the test binary runs.
const programVar = "BERTH_STATES_PROGRAM"

func TestMain(m *testing.M) {
	if program := os.Getenv(programVar); program != "" {
		if err := runProgram(program, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	testnet.Main(m)
}

// programs call the packages that berth's commands call. The arguments follow the three
// directories.
var programs = map[string]func(ctx context.Context, d config.Dirs, args []string) error{
	"hook": func(ctx context.Context, d config.Dirs, args []string) error {
		return theHook(d).Run(ctx, args[0], os.Stdin)
	},
	"unlink": func(_ context.Context, _ config.Dirs, args []string) error {
		nsid, err := strconv.Atoi(args[0])
		return errors.Join(err, hook.Unlink(nsid, args[1]))
	},
	"connect": func(ctx context.Context, d config.Dirs, args []string) error {
		_, err := theHook(d).Connect(ctx, args[1], 0, specs.Selection{Network: args[0]})
		return err
	},
	"disconnect": func(ctx context.Context, d config.Dirs, args []string) error {
		_, err := theHook(d).Disconnect(ctx, args[1], args[0])
		return err
	},
	"add":    addByDoor,
	"delete": deleteByDoor,
	"enable": enableShim,
	"disable": func(ctx context.Context, d config.Dirs, args []string) error {
		_, err := theShims(d).Disable(ctx, args[0])
		return err
	},
	"gc": collectGarbage,
	"heal": func(ctx context.Context, d config.Dirs, _ []string) error {
		_, err := theHook(d).Heal(ctx)
		return err
	},
	"agent": func(ctx context.Context, d config.Dirs, _ []string) error {
		ctx, stop := signal.NotifyContext(ctx, unix.SIGTERM)
		defer stop()
		return daemon.Run(ctx, daemon.Options{Dirs: d, Log: theLog(slog.LevelInfo)})
	},
}

func runProgram(name string, args []string) error {
	ctx := context.Background()
	if name != "agent" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 4*hook.Timeout) // the machine may be slow
		defer cancel()
	}
	return programs[name](ctx, config.Dirs{Config: args[0], State: args[1], BPFFS: args[2]}, args[3:])
}

func theLog(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

func theHook(d config.Dirs) *hook.Hook {
	unlink := func(nsid int, name string) error {
		env := []string{programVar + "=unlink"}
		_, err := syscall.ForkExec("/proc/self/exe", []string{"unlink", d.Config, d.State, d.BPFFS, strconv.Itoa(nsid), name},
			&syscall.ProcAttr{Dir: "/", Env: env, Files: []uintptr{}, Sys: &syscall.SysProcAttr{Setsid: true}})
		return err
	}
	return &hook.Hook{Dirs: d, Store: state.Open(d.State), Log: theLog(slog.LevelWarn), Unlink: unlink}
}

func theShims(d config.Dirs) *hostshim.Shims {
	return &hostshim.Shims{Store: state.Open(d.State), Log: theLog(slog.LevelWarn)}
}

// enableShim is `berth host enable`: it corrects the records of containers whose parent was
// moved first, so that the host does not get the address of one.
func enableShim(ctx context.Context, d config.Dirs, args []string) error {
	n, err := config.Network(d.Config, args[0])
	if err != nil {
		return err
	}
	if err := withReleaser(d, func(r *release.Releaser) error {
		_, err := r.Rehome(ctx)
		return err
	}); err != nil {
		return err
	}
	_, err = theShims(d).Enable(ctx, n, nil)
	return err
}

func withReleaser(d config.Dirs, do func(*release.Releaser) error) error {
	host, err := network.NewHandle()
	if err != nil {
		return err
	}
	defer host.Close()
	return do(&release.Releaser{
		Store: state.Open(d.State), BPFFS: d.BPFFS, Host: host, Log: theLog(slog.LevelWarn), KeepEnded: time.Hour,
	})
}

// collectGarbage is `berth gc`.
func collectGarbage(ctx context.Context, d config.Dirs, _ []string) error {
	return withReleaser(d, func(r *release.Releaser) error {
		_, err := r.Collect(ctx, 0)
		_, shimErr := theShims(d).Reconcile(ctx)
		_, siblingErr := r.AttachOwnPrograms(ctx)
		return errors.Join(err, shimErr, siblingErr)
	})
}
