// Command berth-dhcp keeps the DHCP leases of containers: it renews them, and asks again
// if one is lost. systemd starts it while there are leases (berth-dhcp.path), and it ends
// with the last one. It may be killed at any time.
package main

import (
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"berth/internal/keep"
	"berth/internal/service"
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

func main() { os.Exit(runProgram(os.Args[1:])) }

func runProgram(args []string) int {
	p := service.New("berth-dhcp", version, usage)
	stay := p.Flags.Bool("stay", false, "keep running when no lease is left")
	return p.Main(args, nil, func(log *slog.Logger) error {
		if err := os.Chdir("/"); err != nil {
			return err
		}
		unix.Umask(0o077)
		ctx, stop := service.UntilSignal()
		defer stop()
		k := &keep.Keeper{Store: state.Open(p.Dirs.State), BPFFS: p.Dirs.BPFFS, Log: log}
		return k.Run(ctx, !*stay)
	})
}
