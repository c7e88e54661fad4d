// Command berth is the command line: it creates networks, shows attachments and their
// traffic, and controls the agent. See docs/commands.md.
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
