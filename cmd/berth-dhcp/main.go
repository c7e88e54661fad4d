// Command berth-dhcp keeps the DHCP leases of containers: it renews them, and asks again
// if one is lost. systemd starts it while there are leases (berth-dhcp.path), and it ends
// with the last one. It may be killed at any time.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"berth/internal/config"
	"berth/internal/keep"
	"berth/internal/state"
)

// version is set by the linker.
var version = "devel"

const usage = `berth-dhcp keeps the DHCP leases of containers: it renews them, and requests a
new one if one is lost. It ends with the last lease. systemd starts it when
there is one (berth-dhcp.path).

Usage:
  berth-dhcp [flags]
`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	var dirs config.Dirs
	level := slog.LevelInfo
	flags := flag.NewFlagSet("berth-dhcp", flag.ContinueOnError)
	dirs.Flags(flags)
	stay := flags.Bool("stay", false, "keep running when no lease is left")
	flags.TextVar(&level, "log-level", slog.LevelInfo, "lowest `LEVEL` to log: debug, info, warn or error")
	showVersion := flags.Bool("version", false, "print the version")
	if status, ok := config.ParseFlags(flags, args, usage); !ok {
		return status
	}
	if *showVersion {
		fmt.Println("berth-dhcp", version)
		return 0
	}
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "berth-dhcp: unexpected argument %q; the program takes only flags\n", flags.Arg(0))
		return 2
	}
	if err := os.Chdir("/"); err != nil {
		fmt.Fprintln(os.Stderr, "berth-dhcp:", err)
		return 1
	}
	unix.Umask(0o077)
	signal.Ignore(unix.SIGHUP) // there is nothing to reload
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	k := &keep.Keeper{Store: state.Open(dirs.State), BPFFS: dirs.BPFFS, Log: log}
	if err := k.Run(ctx, !*stay); err != nil {
		fmt.Fprintln(os.Stderr, "berth-dhcp:", err)
		return 1
	}
	return 0
}
