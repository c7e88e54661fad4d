// Command berth is the command line: it makes networks, shows what is attached
// and what it does, and talks to the agent. See docs/commands.md.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"berth/cmd/berth/internal/cli"
)

var version = "devel" // set by the linker

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args[1:], cli.Terminal(os.Stdout, os.Stderr, version))
	stop()
	os.Exit(code)
}
